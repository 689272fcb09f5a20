-- Charges, give-backs, states and places, on the windows of trailing.lua and calendar.lua.

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
