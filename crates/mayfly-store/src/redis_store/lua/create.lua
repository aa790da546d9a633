-- Writes what the store is, unless there is one. KEYS: identity. ARGV: pairs of field and value.
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
return redis.call('HGETALL', KEYS[1])
