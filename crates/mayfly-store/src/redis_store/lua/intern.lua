-- Interns a value: stores it where nothing is, prolongs an equal one, leaves another alone.
-- KEYS: the value's key. ARGV: value, expiry. Answers 1 when the value is there now, else 0.
local old = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'GET', 'EXAT', ARGV[2])
if old and old ~= ARGV[1] then return 0 end
if old then redis.call('EXPIREAT', KEYS[1], ARGV[2], 'GT') end
return 1
