-- Puts another bitmap of erased ordinals in place, if nobody did since it was read. The new version
-- is random: a failover that lost one must not have it given to another bitmap.
-- KEYS: next, erased. ARGV: store id, version read, bitmap, new version.
-- Answers 0, 1 read anew, -1 gone.
local kept = redis.call('HMGET', KEYS[1], 'store', 'erased')
if kept[1] ~= ARGV[1] then return -1 end
if kept[2] ~= ARGV[2] then return 1 end
redis.call('SET', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[1], 'erased', ARGV[4])
return 0
