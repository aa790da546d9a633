-- Writes changed cells and memberships if the lease is ours and every day's cursor is the one the
-- worker started from. KEYS: next, lease, segments, then the cells of each day.
-- ARGV: store id, token, header of a day without cells, expiry of the memberships, how many; for
-- each its segment and value. Then for each day: expiry, the header's first bytes that hold the
-- cursor it must still have, fields to write and their number, fields to drop and their number.
-- Answers 0, 1 lease lost, 2 cursor moved, -1 gone.
if redis.call('HGET', KEYS[1], 'store') ~= ARGV[1] then return -1 end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if string.sub(redis.call('GET', KEYS[2]) or '', 1, 56) ~= ARGV[2] .. run then return 1 end
local first_day = 6 + 2 * tonumber(ARGV[5])

local at = first_day
for key = 4, #KEYS do
  local header, from = redis.call('HGET', KEYS[key], 'c') or ARGV[3], ARGV[at + 1]
  if string.sub(header, 1, #from) ~= from then return 2 end
  at = at + 3 + 2 * tonumber(ARGV[at + 2])
  at = at + 1 + tonumber(ARGV[at])
end

for i = 6, first_day - 1, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
  redis.call('EXPIREAT', KEYS[3], ARGV[4])
end
at = first_day
for key = 4, #KEYS do
  local expiry, writes = ARGV[at], tonumber(ARGV[at + 2])
  for i = at + 3, at + 1 + 2 * writes, 2 do
    redis.call('HSET', KEYS[key], ARGV[i], ARGV[i + 1])
  end
  at = at + 3 + 2 * writes
  local drops = tonumber(ARGV[at])
  for i = at + 1, at + drops do redis.call('HDEL', KEYS[key], ARGV[i]) end
  at = at + 1 + drops
  redis.call('EXPIREAT', KEYS[key], expiry)
end
return 0
