-- Grants or renews the lease of a partition; it runs out by the server's clock.
-- KEYS: next, lease. ARGV: store id, token (16 digits), address, milliseconds.
-- Answers {0} granted, {1, address} held by another, {-1} gone.
if redis.call('HGET', KEYS[1], 'store') ~= ARGV[1] then return {-1} end
local held = redis.call('GET', KEYS[2])
if held and string.sub(held, 1, 16) ~= ARGV[2] then return {1, string.sub(held, 17)} end
redis.call('SET', KEYS[2], ARGV[2] .. ARGV[3], 'PX', ARGV[4])
return {0}
