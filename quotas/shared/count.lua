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

local function ms(us) return string.format('%.0f', math.ceil(us / 1000) + SPARE_MS) end

local Trailing = {}
Trailing.__index = Trailing

function Trailing.read(key, length)
  local w = setmetatable({key = key, length = length, width = math.floor(length / SUB_WINDOWS), fresh = {}}, Trailing)
  w.text = redis.call('GET', key) or ''
  if w.text == '' then
    w.total, w.head, w.n, w.first, w.last, w.count = 0, 0, 0, 0, 0, 0
  else
    w.total, w.head, w.n, w.first, w.last, w.count = struct.unpack('<dHHddd', w.text)
  end
  return w
end

-- The newest part is in the key's head; the others are in a ring of slots behind it.
function Trailing:part(i)
  if i == self.n - 1 then return self.first, self.last, self.count end
  local slot = (self.head + i) % SLOTS
  local fresh = self.fresh[slot]
  if fresh then return fresh[1], fresh[2], fresh[3] end
  local first, last, count = struct.unpack('<ddd', self.text, HEAD + slot * PART + 1)
  return first, last, count
end

function Trailing:spent()
  while self.n > 0 do
    local _, last, count = self:part(0)
    if last >= now - self.length then break end
    self.total, self.head, self.n = self.total - count, (self.head + 1) % SLOTS, self.n - 1
  end
  return self.total
end

function Trailing:spend(cost)
  self:spent()
  if self.n > 0 and now - self.first < self.width then
    self.last, self.count = now, self.count + cost
  else
    if self.n > 0 then self.fresh[(self.head + self.n - 1) % SLOTS] = {self.first, self.last, self.count} end
    self.n, self.first, self.last, self.count, self.is_new = self.n + 1, now, now, cost, true
  end
  self.total, self.is_changed = self.total + cost, true
end

function Trailing:give_back(cost, at)
  for i = self.n - 1, 0, -1 do
    local first, last, count = self:part(i)
    if first <= at and at <= last then
      local back = math.min(cost, count)
      if i == self.n - 1 then
        self.count = count - back
      else
        self.fresh[(self.head + i) % SLOTS] = {first, last, count - back}
      end
      self.total, self.is_changed = self.total - back, true
      return
    end
  end
end

function Trailing:free_again(amount)
  for i = 0, self.n - 1 do
    local _, last, count = self:part(i)
    amount = amount - count
    if amount <= 0 then return last + self.length + 1 - now end
  end
  return 0
end

function Trailing:grows_in()
  return self.total > 0 and self:free_again(1) or 0
end

function Trailing:take(parts, sum)
  for i = 1, #parts - 1 do self.fresh[i - 1] = parts[i] end
  local newest = parts[#parts]
  self.first, self.last, self.count = newest[1], math.min(newest[2], now), newest[3]
  self.head, self.n, self.total, self.is_new, self.is_changed = 0, #parts, sum, true, true
end

function Trailing:write()
  local head = struct.pack('<dHHddd', self.total, self.head, self.n, self.first, self.last, self.count)
  local lives = ms(self.length + self.width)
  if self.text == '' then
    redis.call('SET', self.key, head, 'PX', lives)
  else
    redis.call('SETRANGE', self.key, 0, head)
    if self.is_new then redis.call('PEXPIRE', self.key, lives) end
  end
  for slot, part in pairs(self.fresh) do
    redis.call('SETRANGE', self.key, HEAD + slot * PART, struct.pack('<ddd', part[1], part[2], part[3]))
  end
end

-- The spending of a running day or month. `bounds` are {start, end, end of the next}, in seconds, and the labels of the
-- periods before start, before end and after it. A window never turns back to an earlier label.
local Calendar = {}
Calendar.__index = Calendar

function Calendar.read(key, bounds)
  local w = setmetatable({key = key}, Calendar)
  local second = raw / 1000000
  local label
  if second < bounds[1] then
    label, w.ends = bounds[4], bounds[1]
  elseif second < bounds[2] then
    label, w.ends = bounds[5], bounds[2]
  else
    label, w.ends = bounds[6], bounds[3]
  end
  local text = redis.call('GET', key)
  w.label, w.total, w.began = label, 0, -1
  if text then
    local stored, total, began = struct.unpack('<ddd', text)
    if stored >= label then w.label, w.total, w.began = stored, total, began end
    if stored > label then w.ends = second < bounds[1] and bounds[2] or bounds[3] end
  end
  return w
end

function Calendar:spent() return self.total end

function Calendar:spend(cost)
  if self.began < 0 then self.began = now end
  self.total, self.is_changed = self.total + cost, true
end

function Calendar:give_back(cost, at)
  if self.began >= 0 and at >= self.began then
    self.total, self.is_changed = math.max(0, self.total - cost), true
  end
end

function Calendar:grows_in() return self.ends * 1000000 - raw end

function Calendar:free_again() return self:grows_in() end

function Calendar:write()
  local text = struct.pack('<ddd', self.label, self.total, self.began)
  redis.call('SET', self.key, text, 'PX', ms(math.max(0, self:grows_in()) + 86400000000))
end

local windows = {}

-- A meter is {name, amount, length} or {name, amount, 0, bounds...}.
local function window_of(meter)
  local name = meter[1]
  local window = windows[name]
  if not window then
    if meter[3] > 0 then
      window = Trailing.read(P .. 'm:' .. name, meter[3])
    else
      window = Calendar.read(P .. 'm:' .. name, {unpack(meter, 4)})
    end
    windows[name] = window
  end
  return window
end

local function states_of(meters, states)
  for _, meter in ipairs(meters) do
    local window = window_of(meter)
    states[#states + 1] = math.max(0, meter[2] - window:spent())
    states[#states + 1] = window:grows_in()
  end
  return states
end

local living = {[asked.p] = true}

local function is_living(process)
  if living[process] == nil then living[process] = redis.call('EXISTS', P .. 'alive:' .. process) == 1 end
  return living[process]
end

local pools = {}

-- A pool's hash has each process' number of places. Those of a process that is gone are taken back here.
local function pool_of(name)
  local pool = pools[name]
  if not pool then
    pool = {key = P .. 'places:' .. name, own = 0, others = 0}
    local found = redis.call('HGETALL', pool.key)
    for i = 1, #found, 2 do
      local process, places = found[i], tonumber(found[i + 1])
      if process == asked.p then
        pool.own = places
      elseif is_living(process) then
        pool.others = pool.others + places
      else
        redis.call('HDEL', pool.key, process)
      end
    end
    pools[name] = pool
  end
  return pool
end

local function charge(cost, meters, shown, pool_name, at_once)
  local pool
  if pool_name ~= '' then
    pool = pool_of(pool_name)
    if pool.own + pool.others >= at_once then return {2, states_of(shown, states_of(meters, {}))} end
  end
  local over, wait = {}, 0
  for i, meter in ipairs(meters) do
    local window = window_of(meter)
    local too_many = window:spent() + cost - meter[2]
    if too_many > 0 then
      over[#over + 1] = i - 1
      wait = math.max(wait, window:free_again(too_many))
    end
  end
  if #over > 0 then return {0, states_of(shown, states_of(meters, {})), wait, over} end
  for _, meter in ipairs(meters) do window_of(meter):spend(cost) end
  if pool then pool.own, pool.is_changed = pool.own + 1, true end
  return {1, states_of(shown, states_of(meters, {})), now}
end

local does = {}

function does.charge(op) return charge(op[2], op[3], op[4], op[5], op[6]) end

function does.states(op) return states_of(op[2], {}) end

function does.give_back(op)
  for _, meter in ipairs(op[4]) do
    local window = window_of(meter)
    window:spent()
    window:give_back(op[2], op[3])
  end
  return 0
end

function does.release(op)
  local pool = pool_of(op[2])
  pool.own, pool.is_changed = math.max(0, pool.own - 1), true
  return 0
end

-- Counts what was spent before, whatever the meter allows, so that all of it counts in the end.
function does.fill(op)
  local window, parts, sum = window_of(op[2]), op[3], 0
  for _, part in ipairs(parts) do sum = sum + part[3] end
  local missing = sum - window:spent()
  if missing <= 0 then return 0 end
  if window.n == 0 then window:take(parts, sum) else window:spend(missing) end
  return 0
end

-- Counts more, whatever the meter allows.
function does.add(op)
  window_of(op[3]):spend(op[2])
  return 0
end

function does.end_process(op)
  redis.call('DEL', P .. 'alive:' .. op[2])
  living[op[2]] = false
  return 0
end

-- Failures in a row by counter, and when the last was: those of the counters that failed last.
local MOST_TALLIES = 100000

function does.add_failures(op)
  local count = redis.call('HINCRBY', P .. 'failures', op[2], op[3])
  redis.call('ZADD', P .. 'failed', 'GT', op[4], op[2])
  while redis.call('ZCARD', P .. 'failed') > MOST_TALLIES do
    redis.call('HDEL', P .. 'failures', redis.call('ZPOPMIN', P .. 'failed')[1])
  end
  return count
end

function does.failures(op)
  local found = {}
  for i, counter in ipairs(op[2]) do
    found[2 * i - 1] = tonumber(redis.call('HGET', P .. 'failures', counter) or '0')
    found[2 * i] = tonumber(redis.call('ZSCORE', P .. 'failed', counter) or '0')
  end
  return found
end

local answers = {now}
for i, op in ipairs(asked.ops) do answers[i + 1] = does[op[1]](op) end
for _, window in pairs(windows) do
  if window.is_changed then window:write() end
end
for _, pool in pairs(pools) do
  if pool.is_changed then
    if pool.own > 0 then
      redis.call('HSET', pool.key, asked.p, pool.own)
      redis.call('PEXPIRE', pool.key, 86400000)
    else
      redis.call('HDEL', pool.key, asked.p)
    end
  end
end
return answers
