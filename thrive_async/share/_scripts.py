"""What Redis does in one step each: Lua, on the server's clock.

All times are in seconds since 1970, as doubles, and returned as whole microseconds. Each script touches keys with one
hash tag, so that a cluster runs it too. A command that redis-py sends twice, because a connection broke, does its work
once: what must not happen twice carries a nonce.
"""

from typing import Final

__all__ = ["COOL_DOWN", "FORGET", "GIVE_BACK", "LOAD", "PLACE", "RENEW", "SEEN", "TAKE"]

_NOW: Final = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
"""
# A row that was written in the future is shifted: the clock was set back.
_ROW: Final = """
local row = redis.call('HMGET', KEYS[1], 'written', 'end', 'closed')
local back = math.max(0, (tonumber(row[1]) or 0) - now)
local row_end, closed = (tonumber(row[2]) or 0) - back, (tonumber(row[3]) or 0) - back
local function write()
  redis.call('HSET', KEYS[1], 'written', string.format('%.6f', now), 'end', string.format('%.6f', row_end),
    'closed', string.format('%.6f', closed))
  redis.call('PEXPIRE', KEYS[1], math.ceil((math.max(row_end, closed) - now) * 1000) + 60000)
end
if back > 0 then
  write()
end
"""

PLACE: Final = (
    _NOW
    + _ROW
    + """
local interval, burst, within, seen = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), 0
if ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[2], now, ARGV[4])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 60)
  redis.call('PEXPIRE', KEYS[2], 60000)
  seen = redis.call('ZCARD', KEYS[2])
end
if closed > now then
  return {-1, math.ceil((closed - now) * 1000000), seen}
end
if interval == 0 then
  return {1, 0, seen}
end
local start = math.max(now, row_end - (burst - 1) * interval)
if start - now > within then
  return {0, math.ceil((start - now) * 1000000), seen}
end
-- Timers ring late: half a place of it is forgiven.
row_end = math.max(row_end, now - 0.5 * interval) + interval
write()
return {1, math.ceil((start - now) * 1000000), seen}
"""
)
"""KEYS: row, processes. ARGV: seconds between places (0: no rate), burst, within, this process (if it is to be noted).

Returns 1 if the place was taken, 0 if not, -1 if the scope is cooling down; the wait; and the processes of the last
minute, if this one was noted.
"""

COOL_DOWN: Final = (
    _NOW
    + _ROW
    + """
closed = math.max(closed, now + tonumber(ARGV[1]))
write()
return math.ceil((closed - now) * 1000000)
"""
)
"""KEYS: row. ARGV: seconds. Returns the time left."""

LOAD: Final = "return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}"

FORGET: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"

TAKE: Final = """
local held = redis.call('HMGET', KEYS[1], 'fence', 'nonce')
if held[1] and held[2] ~= ARGV[2] then
  return false
end
local fence = held[1]
if not fence then
  -- Of the time, so that it also grows after the counter was lost; of the counter, should the clock be set back.
  local time = redis.call('TIME')
  local last = tonumber(redis.call('GET', KEYS[2]) or 0)
  fence = string.format('%.0f', math.max(last + 1, tonumber(time[1]) * 1000000 + tonumber(time[2])))
  redis.call('SET', KEYS[2], fence)
  redis.call('HSET', KEYS[1], 'fence', fence, 'nonce', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return fence
"""
"""KEYS: lease, last fence of the scope. ARGV: milliseconds, nonce. Returns the fence, or nothing if it is taken."""

RENEW: Final = """
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

GIVE_BACK: Final = "if redis.call('HGET', KEYS[1], 'fence') == ARGV[1] then redis.call('DEL', KEYS[1]) end"

SEEN: Final = """
if redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then
  return 0
end
return redis.call('GET', KEYS[1]) == ARGV[1] and 0 or 1
"""
"""KEYS: the noted key. ARGV: nonce, milliseconds. Returns 1 if it was noted before."""
