-- Remembers foreign ids with their visitor, each once, so that erasure finds them.
-- KEYS: next, names. ARGV: store id, expiry, version byte, bytes a visitor may have; then pairs of
-- ordinal and record. A record ends in 16 random bytes: none lies across two others by chance.
-- Answers 0, or -1 gone.
if redis.call('HGET', KEYS[1], 'store') ~= ARGV[1] then return -1 end
for i = 5, #ARGV, 2 do
  local kept = redis.call('HGET', KEYS[2], ARGV[i]) or ARGV[3]
  if not string.find(kept, ARGV[i + 1], 1, true) and #kept + #ARGV[i + 1] <= tonumber(ARGV[4]) then
    redis.call('HSET', KEYS[2], ARGV[i], kept .. ARGV[i + 1])
  end
end
redis.call('EXPIREAT', KEYS[2], ARGV[2])
return 0
