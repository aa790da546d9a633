-- Forgets a foreign id if it stands for the visitor. KEYS: the id's key. ARGV: visitor.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('UNLINK', KEYS[1]) end
return 0
