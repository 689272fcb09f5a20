-- Ends the seeding: from now on the generation counts. ARGV: the process that seeded, the marker, and the processes
-- whose standing charges it counted. Answers 1, or 0 if another process has taken the seeding over.
if redis.call('GET', 'adyton:seeding') ~= ARGV[1] then return 0 end
for i = 3, #ARGV do redis.call('HDEL', 'adyton:standing', ARGV[i]) end
redis.call('SET', 'adyton:marker', ARGV[2])
redis.call('DEL', 'adyton:seeding')
return 1
