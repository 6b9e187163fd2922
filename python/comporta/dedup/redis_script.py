"""The script that makes claims inside Redis: one call decides a pack of them, atomically.

A shard's claims are in segments, which follow one another. A segment is a hash; each of its fields is a cell,
named by the first bits of the ids' hashes, and a cell's value is the records of its ids, one after another:
16 bytes of the id's hash and 8 of the position's. So a pack needs one HMGET a live segment and one HSET,
whatever its length, and an id costs little more than its record.

A segment takes claims until its time is over (half of the window, `SEGMENTS`) or its cells are full,
whichever comes first; the next one is as large as the pace so far asks for. It is live until the window has
passed since it took its last claim; then it is deleted whole. Live segments are all looked at. There are
`SLOTS` names for segments, used in turn; while none is free, the last segment goes on taking claims.

All keys are declared, so that a cluster can move them. KEYS: the shard's own hash, then its segments'. ARGV:
the pack's records, the window in milliseconds, and the number of the counter that counts it. The answer: when
the shard was made (microseconds), what that counter says, the time (milliseconds), and a byte a claim.

A process counts at one of `COUNTERS` counters, so that after a failover which has lost some of its packs it
sees that counter fall behind, although other processes may have made more packs meanwhile than were lost.

Fields of the shard's own hash:

| field | meaning |
| --- | --- |
| `born` | when it was made, by Redis's clock, in microseconds |
| `packs:` and a number | how many packs it has decided for those who count there |
| `current` | the number of the segment that takes claims |
| a number | a segment: opened, closes, ends (milliseconds), bits that name a cell, ids that it holds |
"""

from __future__ import annotations

import hashlib

SLOTS = 16
COUNTERS = 64
SEGMENTS = 2  # to a window, by time: with more, claims outlive it less, and there is more to look at
RECORD = 24  # bytes
PACK = 1000  # records at most in a call; Lua hands a function at most some 8,000 values

SCRIPT = (
    f"""
local SLOTS, SEGMENTS, RECORD, CELL = {SLOTS}, {SEGMENTS}, {RECORD}, 8
local FEWEST_BITS, MOST_BITS, GRACE = 16, 24, 60000
"""
    + """
local sub, find, byte, char = string.sub, string.find, string.byte, string.char
local pack, within = ARGV[1], tonumber(ARGV[2])
local count = #pack / RECORD
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- What the shard's own hash says; segments that are over are deleted.
local shard, segments, over = {}, {}, {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local opened, closes, ends, bits, ids = string.match(fields[i + 1], '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not opened then
    shard[fields[i]] = fields[i + 1]
  elseif tonumber(ends) <= now then
    over[#over + 1] = fields[i]
    redis.call('UNLINK', KEYS[2 + fields[i] % SLOTS])
  else
    segments[#segments + 1] = {
      number = tonumber(fields[i]), key = KEYS[2 + fields[i] % SLOTS], opened = tonumber(opened),
      closes = tonumber(closes), ends = tonumber(ends), bits = tonumber(bits), ids = tonumber(ids)
    }
  end
end
if #over > 0 then redis.call('HDEL', KEYS[1], unpack(over)) end
table.sort(segments, function(one, other) return one.number > other.number end)

-- A segment that is missing was lost: that is a loss like that of the shard's own hash.
local present = {}
for _, segment in ipairs(segments) do
  if redis.call('EXISTS', segment.key) == 1 then
    present[#present + 1] = segment
  else
    redis.call('HDEL', KEYS[1], segment.number)
    shard.born = nil
  end
end
segments = present
if not shard.born then
  shard.born = time[1] .. string.format('%06d', time[2])
  redis.call('HSET', KEYS[1], 'born', shard.born)
end

-- The names of the cells where this pack's ids are, in a segment whose cells are named by so many bits.
local named = {}
local function cells_of(bits)
  if named[bits] then return named[bits] end
  local names, rest = {}, 2 ^ (24 - bits)
  for i = 1, count do
    if bits == 16 then
      names[i] = sub(pack, i * RECORD - 23, i * RECORD - 22)
    else
      local a, b, c = byte(pack, i * RECORD - 23, i * RECORD - 21)
      names[i] = char(a, b, c - c % rest)
    end
  end
  named[bits] = names
  return names
end

-- A byte for what a cell says of an id, or nothing if it does not hold it.
local function look(cell, id, i)
  local at = find(cell, id, 1, true)
  while at and at % RECORD ~= 1 do at = find(cell, id, at + 1, true) end
  return at and (sub(cell, at + 16, at + 23) == sub(pack, i * RECORD - 7, i * RECORD) and '\\1' or '\\0')
end

-- Look in every live segment.
local ids, answers, unknown, current = {}, {}, count, nil
for i = 1, count do ids[i] = sub(pack, i * RECORD - 23, i * RECORD - 8) end
for turn, segment in ipairs(segments) do
  local cells = redis.call('HMGET', segment.key, unpack(cells_of(segment.bits)))
  if turn == 1 then current = cells end
  for i = 1, count do
    local cell = cells[i]
    if cell and not answers[i] then
      local answer = look(cell, ids[i], i)
      if answer then
        answers[i] = answer
        unknown = unknown - 1
      end
    end
  end
end

if unknown > 0 then
  -- The segment that takes them: the last one, or a new one.
  local last = segments[1]
  local full = last and last.bits < MOST_BITS and last.ids >= CELL * 2 ^ last.bits
  local number = tonumber(shard.current or 0) + 1
  local taken = false
  for _, segment in ipairs(segments) do taken = taken or segment.number == number - SLOTS end
  local segment, changed = last, false
  if not last or (not taken and (full or last.closes <= now)) then
    local length = math.ceil(within / SEGMENTS)
    local bits = FEWEST_BITS
    if last then
      -- As many cells as hold what comes at the pace of the last one, but not many times as many at once.
      local expected = last.ids * length / math.max(1, math.min(now, last.closes) - last.opened)
      while CELL * 2 ^ bits < expected and bits < last.bits + 4 and bits < MOST_BITS do bits = bits + 1 end
      if last.closes > now then -- it was full, and takes no more
        local ends = now + within
        redis.call('HSET', KEYS[1], last.number, string.format(
          '%.0f %.0f %.0f %.0f %.0f', last.opened, now, ends, last.bits, last.ids))
        redis.call('PEXPIREAT', last.key, string.format('%.0f', ends + GRACE))
      end
    end
    segment = {
      number = number, key = KEYS[2 + number % SLOTS], opened = now, closes = now + length,
      ends = now + length + within, bits = bits, ids = 0
    }
    redis.call('UNLINK', segment.key)
    redis.call('HSET', KEYS[1], 'current', number)
    current, changed = {}, true
  elseif last.closes <= now or last.ends < last.closes + within then
    last.closes = math.max(last.closes, now + math.ceil(within / SEGMENTS))
    last.ends = last.closes + within
    changed = true
  end

  -- Repeats within the pack are decided in its order.
  local names, written, new = cells_of(segment.bits), {}, 0
  for i = 1, count do
    if not answers[i] then
      local name = names[i]
      local cell = written[name]
      answers[i] = cell and look(cell, ids[i], i)
      if not answers[i] then
        cell = cell or current[i]
        local record = sub(pack, i * RECORD - 23, i * RECORD)
        written[name] = cell and cell .. record or record
        answers[i] = '\\1'
        new = new + 1
      end
    end
  end
  local values, size = {}, 0
  for name, cell in pairs(written) do
    values[size + 1], values[size + 2] = name, cell
    size = size + 2
  end
  redis.call('HSET', segment.key, unpack(values))
  redis.call('HSET', KEYS[1], segment.number, string.format('%.0f %.0f %.0f %.0f %.0f',
    segment.opened, segment.closes, segment.ends, segment.bits, segment.ids + new))
  if changed then
    local latest = segment.ends
    for _, other in ipairs(segments) do latest = math.max(latest, other.ends) end
    redis.call('PEXPIREAT', segment.key, string.format('%.0f', segment.ends + GRACE))
    redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', latest + GRACE))
  end
end
return {shard.born, redis.call('HINCRBY', KEYS[1], 'packs:' .. ARGV[3], 1), now, table.concat(answers)}
"""
)

DIGEST = hashlib.sha1(SCRIPT.encode()).hexdigest()  # the name by which Redis knows a script
