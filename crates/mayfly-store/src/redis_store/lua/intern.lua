-- Interns a value: stores it where nothing is, prolongs an equal one, leaves another alone. What
-- comes with another reader than the one that stands behind it loses that one: several read it.
-- KEYS: the value's key. ARGV: value, reader (or nothing), expiry. Answers 1 when the value is
-- there now, else 0.
local value, read = ARGV[1], ARGV[1] .. ARGV[2]
local old = redis.call('SET', KEYS[1], read, 'NX', 'GET', 'EXAT', ARGV[3])
if not old then return 1 end
if string.sub(old, 1, #value) ~= value then return 0 end
if old ~= value and old ~= read then redis.call('SET', KEYS[1], value, 'KEEPTTL') end
redis.call('EXPIREAT', KEYS[1], ARGV[3], 'GT')
return 1
