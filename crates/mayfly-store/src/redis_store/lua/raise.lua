-- Writes another record of what the store is, if the one that was read is still there.
-- KEYS: identity. ARGV: record read, new record. Answers 0, or 1 changed by another.
local record = redis.call('HGET', KEYS[1], 'record')
if record == ARGV[2] then return 0 end
if record ~= ARGV[1] then return 1 end
redis.call('HSET', KEYS[1], 'record', ARGV[2])
return 0
