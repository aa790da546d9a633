-- Writes the next version of an entry if `expected` is current, or if this very record was written
-- before by a call whose answer was lost. The current number stands in `v`.
-- KEYS: identity, entry. ARGV: store id, expected, next, record.
-- Answers {0}, {1, current} changed by another, {-1} gone.
if redis.call('HGET', KEYS[1], 'store') ~= ARGV[1] then return {-1} end
local current = redis.call('HGET', KEYS[2], 'v') or '0'
if current == ARGV[3] and redis.call('HGET', KEYS[2], current) == ARGV[4] then return {0} end
if current ~= ARGV[2] then return {1, tonumber(current)} end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4], 'v', ARGV[3])
return {0}
