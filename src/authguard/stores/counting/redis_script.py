"""Define the Lua scripts that count quotas in Redis. Each runs atomically, with the server's clock.

The scripts use the arithmetic of `authguard.stores.counting.blocks`. All numbers are integers below 2^53,
which Lua's doubles represent exactly. A counter is a hash, small enough for Redis to store it as a listpack:

    <number of a slot>   how much was taken or lent in it
    e                    the epoch
    f, l                 no slot is before the first of these, and none after the last
    n                    the sum of all slots

A script reads and checks everything before it writes, because Redis does not undo the writes of a script that
fails.
"""

from hashlib import sha1


class Script:
    """Hold a Lua script and its SHA-1 digest, by which Redis caches it.

    Args:
        text: the Lua source.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


_CLOCK = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
"""

_COUNTERS = (
    _CLOCK
    + """
local SLOTS, DAY = 120, 86400 * 1000000

local function whole(text)
    local number = tonumber(text)
    if not number or number ~= math.floor(number) then error('a counter of quotas holds something else') end
    return number
end

-- Most steps look at two or three slots; those that look at more read all of them by one command.
local function amount(counter, slot)
    local known = counter.amounts[slot]
    if known then return known end
    counter.reads = counter.reads + 1
    if counter.reads == 5 then
        local all = redis.call('HGETALL', counter.key)
        for index = 1, #all, 2 do
            local number = tonumber(all[index])
            if number and not counter.amounts[number] then counter.amounts[number] = whole(all[index + 1]) end
        end
    end
    if counter.reads < 5 then
        local text = redis.call('HGET', counter.key, slot)
        counter.amounts[slot] = text and whole(text) or 0
    end
    return counter.amounts[slot] or 0
end

local function add(counter, slot, number)
    counter.amounts[slot] = amount(counter, slot) + number
    counter.changed[slot] = true
    counter.used = counter.used + number
end

-- Read a counter, without what counts no longer.
local function open(key, window, daily)
    local length = daily and DAY or math.ceil(window * 1000000 / SLOTS)
    local current = (now - math.fmod(now, length)) / length
    local kept = daily and 0 or SLOTS
    local counter = {key = key, length = length, kept = kept, slot = current, epoch = now, used = 0,
                     first = current, last = current, amounts = {}, changed = {}, reads = 0, write = false}
    local epoch, first, last, used = unpack(redis.call('HMGET', key, 'e', 'f', 'l', 'n'))
    if not epoch then
        counter.amounts[current] = 0
        return counter
    end
    counter.is_known = true
    counter.epoch, first, last, counter.used = whole(epoch), whole(first), whole(last), whole(used)
    if last - first > SLOTS + 1 then error('a counter of quotas holds something else') end
    -- The clock was set back. What was lent before may be spent for the length of a slot, and a day goes on.
    while last > current and last >= first and amount(counter, last) == 0 do last = last - 1 end
    if last < first then
        counter.amounts[current] = 0
        return counter
    end
    if last == current + 1 or last > current and not daily then current = current + 1 end
    counter.slot = current
    local later = 0
    for slot = math.max(first, current + 1), last do
        later = later + amount(counter, slot)
        add(counter, slot, -amount(counter, slot))
    end
    if later > 0 then
        counter.epoch = counter.epoch + 1
        add(counter, current, later)
        counter.write = true
    end
    for slot = first, math.min(last, current - kept - 1) do add(counter, slot, -amount(counter, slot)) end
    counter.first, counter.last = math.min(math.max(first, current - kept), current), current
    amount(counter, current)
    return counter
end

local function give_back(counter, epoch, slot, number)
    if epoch ~= counter.epoch or slot < counter.first or slot > counter.last then return end
    add(counter, slot, -math.min(number, amount(counter, slot)))
end

local function find_first(counter)
    while counter.first < counter.last and amount(counter, counter.first) == 0 do
        counter.first = counter.first + 1
    end
end

-- Return after how much time a slot counts no longer.
local function expiry(counter, slot)
    return (slot + counter.kept + 1) * counter.length - now
end

-- Return after how much time a cost fits; 0 for now, -1 for never.
local function wait(counter, count, cost)
    local free = count - counter.used
    if cost <= free then return 0 end
    if cost > count then return -1 end
    for slot = counter.first, counter.last do
        free = free + amount(counter, slot)
        if cost <= free then return expiry(counter, slot) end
    end
    error('a counter of quotas holds something else')
end

local function close(counter)
    if not counter.write then return end
    local fields = {'e', counter.epoch, 'f', counter.first, 'l', counter.last, 'n', counter.used}
    local gone = {}
    for slot in pairs(counter.changed) do
        if counter.amounts[slot] > 0 then
            fields[#fields + 1] = slot
            fields[#fields + 1] = counter.amounts[slot]
        else
            gone[#gone + 1] = slot
        end
    end
    if #gone > 0 then redis.call('HDEL', counter.key, unpack(gone)) end
    redis.call('HSET', counter.key, unpack(fields))
    redis.call('PEXPIRE', counter.key, math.ceil(expiry(counter, counter.last + 1) / 1000))
end
"""
)

# KEYS: a counter for each quota.
# ARGV: the number of living processes; then for each quota limit, window, 1 if it is daily, cost, 1 if it is
# enforced, how much to lend at most, and how many rests follow, each as epoch, slot and amount.
# Returns 1 if the request may pass; then the fields of an `Answer` for each quota.
TAKE = Script(
    _COUNTERS
    + """
local MAX_BLOCK, MAX_PERCENT = 64, 95

local function extra(ask, used)
    if used * 100 > ask.limit * MAX_PERCENT then return 0 end
    local block = math.min(MAX_BLOCK, math.floor((ask.limit - used) / (2 * ARGV[1])))
    return math.max(0, math.min(ask.wants, block - ask.cost))
end

local asks, admitted, at = {}, true, 2
for index, key in ipairs(KEYS) do
    local limit, window, daily, cost, enforce, wants, rests = unpack(ARGV, at, at + 6)
    at = at + 7
    local counter = open(key, window, daily == '1')
    counter.write = counter.write or tonumber(rests) > 0
    for _ = 1, rests do
        give_back(counter, tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]))
        at = at + 3
    end
    find_first(counter)
    local ask = {counter = counter, limit = tonumber(limit), cost = tonumber(cost), wants = tonumber(wants),
                 daily = daily == '1'}
    ask.wait = wait(counter, ask.limit, ask.cost)
    if ask.wait ~= 0 and enforce == '1' then admitted = false end
    asks[index] = ask
end
local answer = {admitted and 1 or 0}
for _, ask in ipairs(asks) do
    local counter, lent = ask.counter, 0
    if admitted and ask.wait == 0 then
        lent = extra(ask, counter.used + ask.cost)
        if counter.used == 0 then counter.first = counter.slot end
        add(counter, counter.slot, ask.cost + lent)
    end
    counter.write = counter.write or admitted
    close(counter)
    local ends_in = (counter.slot + 1) * counter.length - now
    ends_in = math.min(ends_in, ask.daily and DAY / SLOTS or counter.length)
    local reset = counter.used > 0 and expiry(counter, counter.first) or 0
    for _, number in ipairs({counter.used, reset, ask.wait, counter.epoch, counter.slot, ends_in, lent}) do
        answer[#answer + 1] = number
    end
end
return answer
"""
)

# KEYS: counters. ARGV: for each of them window, 1 if it is daily, and the number of rests that follow, each
# as epoch, slot and amount.
GIVE_BACK = Script(
    _COUNTERS
    + """
local counters, at = {}, 1
for index, key in ipairs(KEYS) do
    local window, daily, rests = unpack(ARGV, at, at + 2)
    at = at + 3
    local counter = open(key, window, daily == '1')
    counter.write = counter.is_known
    for _ = 1, rests do
        give_back(counter, tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]))
        at = at + 3
    end
    find_first(counter)
    counters[index] = counter
end
for _, counter in ipairs(counters) do close(counter) end
return 1
"""
)

# KEYS: the processes, each with the time of its last beat. ARGV: the name of this process, and the seconds
# after which a process without a beat is dropped.
BEAT = Script(
    _CLOCK
    + """
local alive = ARGV[2] * 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - alive))
redis.call('ZREMRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf')
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('PEXPIRE', KEYS[1], 2000 * ARGV[2])
return redis.call('ZCARD', KEYS[1])
"""
)
