-- wrk script: many visitors and pages. COOKIES names a file with one Cookie header a line;
-- TARGET is the path with its query up to the page (the page's number is appended).
local cookies, paths = {}, {}
for line in io.lines(os.getenv("COOKIES")) do cookies[#cookies + 1] = line end
local target = os.getenv("TARGET")
for i = 1, 500 do paths[i] = target .. i end
local requests, n = {}, 0

function init()
  math.randomseed(os.time())
  -- So many that the same visitor and page seldom come twice within a second: a repeat is cheap.
  for i = 1, 60000 do
    local headers = {
      ["Cookie"] = cookies[math.random(#cookies)],
      ["Referer"] = "https://news.example/page",
      ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36",
      ["Accept-Language"] = "en-US,en;q=0.9",
    }
    requests[i] = wrk.format("GET", paths[math.random(#paths)], headers)
  end
end

function request()
  n = n % #requests + 1
  return requests[n]
end

function done(summary, latency)
  io.write(string.format(
    "RESULT %d %d %d %d %d\n", summary.requests / (summary.duration / 1e6),
    latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.timeout, summary.errors.connect + summary.errors.read))
end
