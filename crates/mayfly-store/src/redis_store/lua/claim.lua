-- Claims a foreign id for a visitor unless it stands for a living one.
-- KEYS: the id's key. ARGV: visitor, expiry, the erased visitor it is known to stand for or ''.
-- Answers the visitor that it stands for now.
local old = redis.call('GET', KEYS[1])
if old and old ~= ARGV[3] then
  redis.call('EXPIREAT', KEYS[1], ARGV[2], 'GT')
  return old
end
redis.call('SET', KEYS[1], ARGV[1], 'EXAT', ARGV[2])
return ARGV[1]
