-- A trailing window, as quotas/window.py has it: {total, head, n, first, last, count} and a ring of older parts.

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
