-- The first part of the script that counts; the others follow it in the order trailing, calendar, count.
--
-- Does what one process asks for in one turn of its event loop, in order: charges, give-backs, states and places.
--
-- ARGV[1] is JSON: {m: marker, g: generation, p: process, s: its session, t: the latest time that may be (us, 0: any),
-- h: the time to live of its sign of life (ms, 0: not renewed), ops: [...]}. ARGV[2] shifts Redis' clock; tests do so.
-- The answer is -1 (what was spent is not known here), -2 (the process is not known here), or {now, answer, ...}.
-- Times are microseconds. The window is that of quotas/window.py.

local SUB_WINDOWS, SLOTS, HEAD, PART = 64, 68, 36, 24
-- A key outlives its last spending by this: a clock that jumps ahead by less forgets nothing.
local SPARE_MS = 10000

local asked = cjson.decode(ARGV[1])
if redis.call('GET', 'adyton:marker') ~= asked.m then return -1 end
local P = 'adyton:' .. asked.g .. ':'
-- A session that was given up may still have been in a socket: what it asked for counts no longer.
if redis.call('GET', P .. 'alive:' .. asked.p) ~= asked.s then return -2 end
if asked.h > 0 then redis.call('PEXPIRE', P .. 'alive:' .. asked.p, asked.h) end

local time = redis.call('TIME')
local raw = tonumber(time[1]) * 1000000 + tonumber(time[2]) + tonumber(ARGV[2] or '0')
local last, offset = 0, 0
local clock = redis.call('GET', P .. 'clock')
if clock then last, offset = struct.unpack('<dd', clock) end
-- Redis' clock is a wall clock. Set back, it goes on here from where it was; set ahead, it jumps no further than the
-- steady clock of the process that asks allows.
local now = raw + offset
if now < last then now = last end
if asked.t > 0 and now > asked.t then now = math.max(last, asked.t) end
redis.call('SET', P .. 'clock', struct.pack('<dd', now, now - raw))
