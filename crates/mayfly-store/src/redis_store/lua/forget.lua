-- Forgets a value if it is still this one. KEYS: its key. ARGV: the value.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('UNLINK', KEYS[1]) end
return 0
