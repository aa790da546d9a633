-- Marks a partition as the store's. The counter begins at 1 (ordinal 0 is never issued) beside this
-- server's run_id; a marker that is there already stays.
-- KEYS: next. ARGV: store id. Answers 0, or -1 when it is another store's.
local store = redis.call('HGET', KEYS[1], 'store')
if store then return store == ARGV[1] and 0 or -1 end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
redis.call('HSET', KEYS[1], 'store', ARGV[1], 'next', 1, 'run', run, 'erased', 0)
return 0
