-- Takes a batch exactly once: number = last + 1 is stored, anything else changes nothing.
-- KEYS: next, lane, dirty; a log for each day; for each id its bucket of the day received and of
-- the day before.
-- ARGV: store id, number, seconds a lane is kept, days, expiry of the ids' buckets; for each day
-- its number, its expiry and the entry; for each id its index and hash.
-- Answers {0} stored, {1} taken before, {2, last} gap, {3, index …} ids seen before, {-1} gone.
if redis.call('HGET', KEYS[1], 'store') ~= ARGV[1] then return {-1} end
local last, number = tonumber(redis.call('GET', KEYS[2]) or 0), tonumber(ARGV[2])
if number <= last then return {1} end
if number ~= last + 1 then return {2, last} end

local days = tonumber(ARGV[4])
local first_id, first_bucket = 6 + 3 * days, 4 + days
local duplicates, seen = {3}, {}
local bucket = first_bucket
for i = first_id, #ARGV, 2 do
  local id = ARGV[i + 1]
  if seen[id] or redis.call('SISMEMBER', KEYS[bucket], id) == 1
      or redis.call('SISMEMBER', KEYS[bucket + 1], id) == 1 then
    duplicates[#duplicates + 1] = tonumber(ARGV[i])
  end
  seen[id] = true
  bucket = bucket + 2
end
if #duplicates > 1 then return duplicates end

-- Begins a log. One that was sealed to its end is gone, and with it its newest id: a new one goes
-- on after that, even if the clock stands before it, since cursors point there. A day that is over
-- by the clock that expires keys is gone again at once, and must leave no head behind: no entry.
local function begin(log, day, expiry, hits)
  local entry = redis.call('XADD', log, '*', 'h', hits)
  local newest = redis.call('HGET', KEYS[3], day)
  if newest then
    local ms, seq = string.match(newest, '(%d+)-(%d+)')
    if tonumber(string.match(entry, '%d+')) <= tonumber(ms) then
      redis.call('UNLINK', log)
      entry = redis.call('XADD', log, ms .. '-' .. (tonumber(seq) + 1), 'h', hits)
    end
  end
  redis.call('EXPIREAT', log, expiry)
  return redis.call('EXISTS', log) == 1 and entry
end

for i = 1, days do
  local at, log = 3 + 3 * i, KEYS[3 + i]
  local day, expiry, hits = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local entry = redis.call('XADD', log, 'NOMKSTREAM', '*', 'h', hits)
      or begin(log, day, expiry, hits)
  if entry then redis.call('HSET', KEYS[3], day, entry) end
end
bucket = first_bucket
for i = first_id, #ARGV, 2 do
  redis.call('SADD', KEYS[bucket], ARGV[i + 1])
  redis.call('EXPIREAT', KEYS[bucket], ARGV[5])
  bucket = bucket + 2
end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return {0}
