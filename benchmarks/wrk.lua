-- Asks in turn for each of several bodies, and remembers each different answer and how often it came.
-- The file that the first argument names returns what to ask; the answers are written to the file that it names.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  local asked = dofile(arguments[1])
  varies, output, turn, kinds = asked.varies, asked.output, 0, 0
  requests, seen = {}, {}
  for place, body in ipairs(asked.bodies) do
    requests[place] = wrk.format("POST", asked.path, asked.headers, body)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function response(status, headers, body)
  local answer = status .. " " .. (body:gsub(varies, ""))
  if seen[answer] == nil then
    kinds = kinds + 1
    -- So many different answers to so few bodies are wrong whatever they are.
    if kinds > 2000 then
      answer = "0 too many different answers"
    end
  end
  seen[answer] = (seen[answer] or 0) + 1
end

function done(summary, latency)
  local file = io.open(threads[1]:get("output"), "wb")
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  file:write(string.format("%d %d %d %d %d %d\n", summary.requests, summary.duration, lost,
    latency:percentile(50), latency:percentile(99), latency.max))
  for answer, count in pairs(threads[1]:get("seen")) do
    file:write(string.format("%d %d\n", count, #answer), answer, "\n")
  end
  file:close()
end
