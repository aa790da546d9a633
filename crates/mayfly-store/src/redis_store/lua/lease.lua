-- Grants or renews the lease of a partition; it runs out by the server's clock, and with the
-- server that granted it: a worker that folded hits which a failover lost must load anew before it
-- writes. KEYS: next, lease. ARGV: store id, token (16 digits), address, milliseconds.
-- Answers {0} granted, {1, address} held by another, or not by this server, {-1} gone.
if redis.call('HGET', KEYS[1], 'store') ~= ARGV[1] then return {-1} end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local held = redis.call('GET', KEYS[2])
if held and string.sub(held, 1, 16) ~= ARGV[2] then return {1, string.sub(held, 57)} end
if held and string.sub(held, 17, 56) ~= run then
  redis.call('UNLINK', KEYS[2])
  return {1, ARGV[3]}
end
redis.call('SET', KEYS[2], ARGV[2] .. run .. ARGV[3], 'PX', ARGV[4])
return {0}
