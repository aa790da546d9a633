-- Puts another bitmap of erased ordinals in place, if nobody did since it was read.
-- KEYS: next, erased. ARGV: store id, version read, bitmap. Answers 0, 1 read anew, -1 gone.
local kept = redis.call('HMGET', KEYS[1], 'store', 'erased')
if kept[1] ~= ARGV[1] then return -1 end
if kept[2] ~= ARGV[2] then return 1 end
redis.call('SET', KEYS[2], ARGV[3])
redis.call('HINCRBY', KEYS[1], 'erased', 1)
return 0
