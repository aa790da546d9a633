-- wrk script: as pixel.lua (PIXEL names it), but each connection pauses DELAY milliseconds between
-- requests: a steady load instead of the highest.
dofile(os.getenv("PIXEL"))
local pause = tonumber(os.getenv("DELAY"))

function delay()
  return pause
end
