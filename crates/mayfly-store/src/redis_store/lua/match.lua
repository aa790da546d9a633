-- Notes a partner's id of a visitor.
-- KEYS: next, partners, the matches of today's period, then those of all periods, the newest first.
-- ARGV: store id, version of the erased ordinals read, ordinal, today, expiry of today's period,
-- version byte, partner, id ('' = none any more).
-- A match is: version byte, day (2 bytes), generation (2 bytes), id.
-- Answers 0 new, 1 changed, 2 renewed, 3 known, 4 forgotten, 5 absent, 6 read erased anew, -1 gone.
local kept = redis.call('HMGET', KEYS[1], 'store', 'erased')
if kept[1] ~= ARGV[1] then return -1 end
if (kept[2] or '0') ~= ARGV[2] then return 6 end
local uid, today = ARGV[8], tonumber(ARGV[4])
local old, at
for i = 4, #KEYS do
  old = redis.call('HGET', KEYS[i], ARGV[3])
  if old then
    at = KEYS[i]
    break
  end
end
if not old then
  if uid == '' then return 5 end
elseif uid == '' then
  for i = 4, #KEYS do redis.call('HDEL', KEYS[i], ARGV[3]) end
  return 4
end
local answer, generation = 0, 0
if old then
  local seen = string.byte(old, 2) * 256 + string.byte(old, 3)
  generation = string.byte(old, 4) * 256 + string.byte(old, 5)
  if string.sub(old, 6) ~= uid then
    answer = 1
    if generation < 65535 then generation = generation + 1 end
  elseif seen < today then
    answer = 2
  else
    return 3
  end
  if at ~= KEYS[3] then redis.call('HDEL', at, ARGV[3]) end
end
local function two(n) return string.char(math.floor(n / 256), n % 256) end
redis.call('HSET', KEYS[3], ARGV[3], ARGV[6] .. two(today) .. two(generation) .. uid)
redis.call('EXPIREAT', KEYS[3], ARGV[5])
redis.call('SADD', KEYS[2], ARGV[7])
return answer
