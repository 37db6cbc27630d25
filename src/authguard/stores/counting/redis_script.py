"""Hold the Lua scripts that count quotas in Redis; each runs as one step.

They do the arithmetic of `blocks.py`, with the server's clock. Times are thirds of a microsecond: a slot, which is
a 120th of a window, is a whole number of them, and each number stays below 2^53, so that a double holds it.

A counter is a hash, small enough for Redis to keep it as a listpack. One that slides has

    <number of a slot>   what was taken, counted from the end of that slot
    f, l                 the first and the last of them
    n                    their sum

and one of a calendar day has

    d                    the number of the day
    n                    what was taken in it

Everything is read and checked before anything is written, since Redis does not undo what a script wrote that fails.
"""

_CLOCK = """
local time = redis.call('TIME')
local now = (time[1] * 1000000 + time[2]) * 3
"""

_COUNTERS = (
    _CLOCK
    + """
local DAY = 86400000000 * 3
local SLOTS = 120

local function whole(text)
    local number = tonumber(text)
    if not number or number ~= math.floor(number) then error('a counter of quotas holds something else') end
    return number
end

local function amount(counter, slot)
    local known = counter.slots[slot]
    if known == nil then
        local text = redis.call('HGET', counter.key, slot)
        known = text and whole(text) or 0
        counter.slots[slot] = known
    end
    return known
end

local function add(counter, slot, number)
    counter.slots[slot] = amount(counter, slot) + number
    counter.changed[slot] = true
    counter.used = counter.used + number
end

-- Read a counter, without what counts no longer.
local function open(key, window, daily)
    local length = (daily and 86400 or window) * 25000
    local counter = {key = key, length = length, slot = (now - math.fmod(now, length)) / length,
                     slots = {}, changed = {}, used = 0, write = false}
    if daily then
        local today = (now - math.fmod(now, DAY)) / DAY
        local day, used = unpack(redis.call('HMGET', key, 'd', 'n'))
        counter.day = today
        if day and whole(day) >= today then -- a later one if the clock was set back; it goes on
            counter.day, counter.used = whole(day), whole(used)
        end
        return counter
    end
    local first, last, used = unpack(redis.call('HMGET', key, 'f', 'l', 'n'))
    counter.first, counter.last = counter.slot, counter.slot
    if not first then return counter end
    counter.first, counter.last, counter.used = whole(first), whole(last), whole(used)
    if counter.last - counter.first > 2 * SLOTS then error('a counter of quotas holds something else') end
    -- The clock was set back. The current slot may end before a lease does that was given just before.
    local latest = counter.slot + 1
    for slot = math.max(counter.first, latest + 1), counter.last do
        local number = amount(counter, slot)
        add(counter, slot, -number)
        add(counter, latest, number)
        counter.write = true
    end
    counter.first, counter.last = math.min(counter.first, latest), math.min(counter.last, latest)
    for slot = counter.first, math.min(counter.last, counter.slot - SLOTS - 1) do
        add(counter, slot, -amount(counter, slot))
    end
    counter.first = math.max(counter.first, counter.slot - SLOTS)
    counter.last = math.max(counter.last, counter.slot)
    return counter
end

-- Take back what is left of a lease, if its slot still counts.
local function give_back(counter, slot, number)
    if counter.day then
        if math.floor(slot / SLOTS) == counter.day then
            counter.used, counter.write = math.max(0, counter.used - number), true
        end
    elseif slot >= counter.first and slot <= counter.last then
        local back = math.min(number, amount(counter, slot))
        add(counter, slot, -back)
        counter.write = counter.write or back > 0
    end
end

local function find_first(counter)
    while not counter.day and counter.first < counter.last and amount(counter, counter.first) == 0 do
        counter.first = counter.first + 1
    end
end

-- When the first of what is taken expires.
local function reset(counter)
    if counter.day then return (counter.day + 1) * DAY - now end
    return counter.used > 0 and (counter.first + SLOTS + 1) * counter.length - now or 0
end

-- When a cost fits; 0 for now, -1 for never.
local function wait(counter, count, cost)
    if cost > count then return -1 end
    local free = count - counter.used
    if cost <= free then return 0 end
    if counter.day then return reset(counter) end
    for slot = counter.first, counter.last do
        free = free + amount(counter, slot)
        if cost <= free then return (slot + SLOTS + 1) * counter.length - now end
    end
    error('a counter of quotas holds something else')
end

local function take(counter, number)
    if counter.day then
        counter.used = counter.used + number
    else
        add(counter, counter.slot, number)
        counter.first = math.min(counter.first, counter.slot)
    end
    counter.write = true
end

local function close(counter)
    if not counter.write then return end
    local key = counter.key
    if counter.used == 0 and not counter.day then
        redis.call('DEL', key)
        return
    end
    local ends
    if counter.day then
        redis.call('HSET', key, 'd', counter.day, 'n', counter.used)
        ends = (counter.day + 1) * DAY
    else
        local fields = {'f', counter.first, 'l', counter.last, 'n', counter.used}
        local gone = {}
        for slot in pairs(counter.changed) do
            if counter.slots[slot] > 0 then
                fields[#fields + 1] = slot
                fields[#fields + 1] = counter.slots[slot]
            else
                gone[#gone + 1] = slot
            end
        end
        if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
        redis.call('HSET', key, unpack(fields))
        ends = (counter.last + SLOTS + 2) * counter.length
    end
    redis.call('PEXPIRE', key, math.ceil((ends - now) / 3000))
end
"""
)

# KEYS: one for each quota. ARGV: live processes; then for each quota count, window, whether it is daily, cost, whether
# it is enforced, whether a block is wanted, number of leases that are given back, and their slots and amounts.
# Returns whether all was taken; then for each quota what is used, in microseconds when that is less and when the cost
# fits (-1: never), the slot, in microseconds when it ends, and what was lent beyond the cost.
TAKE = (
    _COUNTERS
    + """
local LARGEST_BLOCK = 64
local live = math.max(1, ARGV[1])
local asks, admitted, at = {}, true, 2
for index, key in ipairs(KEYS) do
    local count, window, daily, cost, enforce, wants, returned = unpack(ARGV, at, at + 6)
    at = at + 7
    local counter = open(key, tonumber(window), daily == '1')
    for _ = 1, returned do
        give_back(counter, tonumber(ARGV[at]), tonumber(ARGV[at + 1]))
        at = at + 2
    end
    find_first(counter)
    local ask = {counter = counter, count = tonumber(count), cost = tonumber(cost), wants = wants == '1', lent = 0}
    ask.wait = wait(counter, ask.count, ask.cost)
    if ask.wait ~= 0 and enforce == '1' then admitted = false end
    asks[index] = ask
end
for _, ask in ipairs(asks) do
    if admitted and ask.wait == 0 then
        local left = ask.count - ask.counter.used
        take(ask.counter, ask.cost)
        if ask.wants and ask.counter.used * 100 <= ask.count * 95 then
            local block = math.min(LARGEST_BLOCK, math.floor(left / (2 * live)))
            ask.lent = math.max(0, block - ask.cost)
            take(ask.counter, ask.lent)
        end
    end
end
local answer = {admitted and 1 or 0}
for _, ask in ipairs(asks) do
    local counter = ask.counter
    close(counter)
    local ends = (counter.slot + 1) * counter.length - now
    local wait = ask.wait < 0 and -1 or math.ceil(ask.wait / 3)
    for _, number in ipairs({counter.used, math.ceil(reset(counter) / 3), wait, counter.slot,
                             math.floor(ends / 3), ask.lent}) do
        answer[#answer + 1] = number
    end
end
return answer
"""
)

# KEYS: one for each counter. ARGV: for each of them window, whether it is daily, number of leases that are given back,
# and their slots and amounts.
GIVE_BACK = (
    _COUNTERS
    + """
local counters, at = {}, 1
for index, key in ipairs(KEYS) do
    local window, daily, returned = unpack(ARGV, at, at + 2)
    at = at + 3
    local counter = open(key, tonumber(window), daily == '1')
    for _ = 1, returned do
        give_back(counter, tonumber(ARGV[at]), tonumber(ARGV[at + 1]))
        at = at + 2
    end
    find_first(counter)
    counters[index] = counter
end
for _, counter in ipairs(counters) do close(counter) end
return 1
"""
)

# KEYS: the processes. ARGV: the name of one, and after how many seconds without a sign it is gone.
HEARTBEAT = (
    _CLOCK
    + """
local second, alive = 3000000, tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - alive * second))
redis.call('ZREMRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf')
redis.call('PEXPIRE', KEYS[1], 2 * alive * 1000)
return redis.call('ZCARD', KEYS[1])
"""
)
