-- Each thread sends the requests of its own file, once, in their order. With a rate, each is sent at its own time of an
-- even timetable, whether the server keeps up or not, as far as the connections go.
local ffi = require("ffi")
ffi.cdef[[ typedef struct { long seconds; long nanoseconds; } acuse_time; int clock_gettime(int clock, acuse_time *time); ]]
local threads = 0

local function milliseconds()
  local time = ffi.new("acuse_time")
  ffi.C.clock_gettime(1, time)
  return tonumber(time.seconds) * 1000 + tonumber(time.nanoseconds) / 1e6
end

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  requests, position, refused = {}, 0, 0
  local file = io.open(args[1] .. "/requests-" .. number, "rb")
  local length = file:read("*n", "*l")
  while length do
    requests[#requests + 1] = file:read(length)
    length = file:read("*n", "*l")
  end
  file:close()
  if args[2] then
    step, turn = 1000 / tonumber(args[2]), milliseconds()
    delay = function()
      turn = turn + step
      return math.max(0, math.floor(turn - milliseconds() + 0.5))
    end
  end
end

function request()
  position = position % #requests + 1
  return requests[position]
end

function response(status)
  if status ~= 200 then refused = refused + 1 end
end

function done(summary, latency, requests)
  io.write(string.format(
    "RESULT %d %d %d %d %d %d %d %d\n", summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max))
end
