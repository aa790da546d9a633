-- Notes a partner's id of a visitor.
-- KEYS: next, partners, the matches of today's period, then those of all periods, the newest first,
-- then the news of the partner.
-- ARGV: store id, version of the erased ordinals read, ordinal, today, expiry of today's period,
-- version byte, partner, id ('' = none any more), whether news are kept, expiry of news.
-- A match is: version byte, day (2 bytes), generation (2 bytes), id.
-- Answers 0 new, 1 changed, 2 renewed, 3 known, 4 forgotten, 5 absent, 6 read erased anew, -1 gone.
local kept = redis.call('HMGET', KEYS[1], 'store', 'erased')
if kept[1] ~= ARGV[1] then return -1 end
if (kept[2] or '0') ~= ARGV[2] then return 6 end
local uid, today, news = ARGV[8], tonumber(ARGV[4]), KEYS[#KEYS]
local function two(n) return string.char(math.floor(n / 256), n % 256) end
-- News are: version byte, day (2 bytes), 'm' and the ordinal (4 bytes) or 'g' and the id.
local function tell(text)
  if ARGV[9] ~= '1' then return end
  local oldest = (tonumber(ARGV[4]) - 30) * 86400000
  redis.call('XADD', news, 'MINID', '~', oldest, '*', 'n', ARGV[6] .. two(today) .. text)
  redis.call('EXPIREAT', news, ARGV[10])
end
local old, at
for i = 4, #KEYS - 1 do
  old = redis.call('HGET', KEYS[i], ARGV[3])
  if old then
    at = KEYS[i]
    break
  end
end
if not old then
  if uid == '' then return 5 end
elseif uid == '' then
  tell('g' .. string.sub(old, 6))
  for i = 4, #KEYS - 1 do redis.call('HDEL', KEYS[i], ARGV[3]) end
  return 4
end
local answer, generation = 0, 0
if old then
  local seen = string.byte(old, 2) * 256 + string.byte(old, 3)
  generation = string.byte(old, 4) * 256 + string.byte(old, 5)
  if string.sub(old, 6) ~= uid then
    answer = 1
    tell('g' .. string.sub(old, 6))
    if generation < 65535 then generation = generation + 1 end
  elseif seen < today then
    answer = 2
  else
    return 3
  end
  if at ~= KEYS[3] then redis.call('HDEL', at, ARGV[3]) end
end
if answer < 2 then
  local n = tonumber(ARGV[3])
  tell('m' .. two(math.floor(n / 65536)) .. two(n % 65536))
end
redis.call('HSET', KEYS[3], ARGV[3], ARGV[6] .. two(today) .. two(generation) .. uid)
redis.call('EXPIREAT', KEYS[3], ARGV[5])
redis.call('SADD', KEYS[2], ARGV[7])
return answer
