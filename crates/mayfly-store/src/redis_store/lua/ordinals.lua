-- Leases a block of ordinals. Asks this very server for its run_id: a client that asked before a
-- failover would compare the old server's with itself, and hand a block out twice.
-- KEYS: next. ARGV: store id, end of the highest block the caller knows of, block, jump.
-- Answers {0, first}, {1} used up, {-1} gone.
local kept = redis.call('HMGET', KEYS[1], 'store', 'next', 'run')
if kept[1] ~= ARGV[1] then return {-1} end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local first = tonumber(kept[2])
if kept[3] ~= run then first = first + tonumber(ARGV[4]) end
first = math.max(first, tonumber(ARGV[2]))
local after = first + tonumber(ARGV[3])
if after > 4294967295 then return {1} end
redis.call('HSET', KEYS[1], 'next', string.format('%.0f', after), 'run', run)
return {0, first}
