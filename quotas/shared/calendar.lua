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
