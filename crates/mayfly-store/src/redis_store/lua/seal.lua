-- Switches a day to the blocks built aside and trims its log, if the lease is ours and nobody
-- sealed the day meanwhile. What is left of the log is written anew: a trimmed entry's bytes stay
-- in the node it shares with younger ones, and erased hits must not. An empty log goes.
-- KEYS: next, lease, past, past-aside, hits.
-- ARGV: store id, token, generation read, expiry, first id to keep.
-- Answers 0, 1 lease lost, 2 sealed by another, -1 gone.
if redis.call('HGET', KEYS[1], 'store') ~= ARGV[1] then return -1 end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if string.sub(redis.call('GET', KEYS[2]) or '', 1, 56) ~= ARGV[2] .. run then return 1 end
if (redis.call('HGET', KEYS[3], 'g') or '0') ~= ARGV[3] then return 2 end
redis.call('RENAME', KEYS[4], KEYS[3])
redis.call('EXPIREAT', KEYS[3], ARGV[4])
if redis.call('XTRIM', KEYS[5], 'MINID', ARGV[5]) > 0 then
  local rest = redis.call('XRANGE', KEYS[5], '-', '+')
  redis.call('UNLINK', KEYS[5])
  for _, entry in ipairs(rest) do
    redis.call('XADD', KEYS[5], entry[1], entry[2][1], entry[2][2])
  end
  if #rest > 0 then redis.call('EXPIREAT', KEYS[5], ARGV[4]) end
end
return 0
