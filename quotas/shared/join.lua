-- Makes a process known, with a new session, and sets its places to those that it has: {pool: number, ...}.
-- ARGV: marker, generation, process, session, time to live (ms), places as JSON. Answers 1, or -1 if the marker differs.
if redis.call('GET', 'adyton:marker') ~= ARGV[1] then return -1 end
local P = 'adyton:' .. ARGV[2] .. ':'
redis.call('SET', P .. 'alive:' .. ARGV[3], ARGV[4], 'PX', ARGV[5])
for pool, places in pairs(cjson.decode(ARGV[6])) do
  local key = P .. 'places:' .. pool
  if places > 0 then
    redis.call('HSET', key, ARGV[3], places)
    redis.call('PEXPIRE', key, 86400000)
  else
    redis.call('HDEL', key, ARGV[3])
  end
end
return 1
