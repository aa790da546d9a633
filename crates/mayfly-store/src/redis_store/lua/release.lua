-- Gives a lease back if it is still ours. KEYS: lease. ARGV: token.
if string.sub(redis.call('GET', KEYS[1]) or '', 1, 16) == ARGV[1] then
  redis.call('UNLINK', KEYS[1])
end
return 0
