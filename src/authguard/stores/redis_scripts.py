"""Define the Lua scripts of the log in Redis. Each runs atomically.

All keys have one hash tag, so that a cluster stores them on one server:

    state      hash   epoch, seq, began
    marks      hash   key of a mark → the mark as JSON
    order      zset   key of a mark → its number
    expiry     zset   key of a mark → its end
    tips       hash   number → the random name of its writing
    seen       zset   process → when it read last
    confirmed  hash   process → the number up to which it has read
"""

KEYS = ("state", "marks", "order", "expiry", "tips", "seen", "confirmed")

_BEGIN = """
local state, marks, order, expiry, tips, seen, confirmed = unpack(KEYS)
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local function begin(epoch)
    redis.call('DEL', tips)
    redis.call('HSET', state, 'epoch', epoch, 'began', string.format('%.6f', now))
    redis.call('HSETNX', state, 'seq', 0)
end
"""

# ARGV: process, epoch, number, tip, page size, seconds alive, greatest number of tips, name of a new epoch.
READ = (
    _BEGIN
    + """
local mine = tonumber(ARGV[3])
if redis.call('HEXISTS', state, 'epoch') == 0 then begin(ARGV[8]) end
local epoch, last, began = unpack(redis.call('HMGET', state, 'epoch', 'seq', 'began'))
last = tonumber(last)
local age = string.format('%.6f', now - tonumber(began))
local verdict = 'ok'
if ARGV[2] ~= '' then
    if ARGV[2] ~= epoch or mine > last then
        verdict = 'lost'
    elseif ARGV[4] ~= '' and mine > 0 then
        local tip = redis.call('HGET', tips, mine)
        if tip and tip ~= ARGV[4] then verdict = 'lost' end
        if not tip then verdict = mine > last - tonumber(ARGV[7]) and 'lost' or 'old' end
    end
end
if verdict ~= 'ok' then return {verdict, epoch, last, '', age, 1} end
redis.call('ZREMRANGEBYSCORE', seen, '-inf', now - tonumber(ARGV[6]))
redis.call('ZADD', seen, string.format('%.6f', now), ARGV[1])
redis.call('HSET', confirmed, ARGV[1], mine)
if redis.call('HLEN', confirmed) > 2 * redis.call('ZCARD', seen) + 16 then
    for _, name in ipairs(redis.call('HKEYS', confirmed)) do
        if not redis.call('ZSCORE', seen, name) then redis.call('HDEL', confirmed, name) end
    end
end
local page = redis.call('ZRANGEBYSCORE', order, '(' .. ARGV[3], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[5])
local whole = #page < 2 * tonumber(ARGV[5])
local reached = whole and last or tonumber(page[#page])
local tip = whole and redis.call('HGET', tips, last) or ''
local result = {verdict, epoch, reached, tip, age, whole and 1 or 0}
for index = 1, #page, 2 do result[#result + 1] = redis.call('HGET', marks, page[index]) end
return result
"""
)

# ARGV: epoch to end, name of a new epoch, random name, greatest number of tips, seconds to keep, channel,
# then for each mark: key, issued_before (empty: now, -: none), until, JSON of kind, issuer and name.
APPEND = (
    _BEGIN
    + """
local epoch = redis.call('HGET', state, 'epoch')
if not epoch or epoch == ARGV[1] then begin(ARGV[2]) end
local last = tonumber(redis.call('HGET', state, 'seq'))
for index = 7, #ARGV, 4 do
    local key, before, ending, what = ARGV[index], ARGV[index + 1], ARGV[index + 2], ARGV[index + 3]
    if before == '' then before = string.format('%.6f', now) end
    local older = redis.call('HGET', marks, key)
    if older then
        local parts = cjson.decode(older)
        local known = parts[2]
        if known ~= '-' and (before == '-' or tonumber(known) > tonumber(before)) then before = known end
        if tonumber(parts[3]) > tonumber(ending) then ending = parts[3] end
    end
    last = last + 1
    redis.call('HSET', marks, key, cjson.encode({what, before, ending}))
    redis.call('ZADD', order, last, key)
    redis.call('ZADD', expiry, ending, key)
    redis.call('HSET', tips, last, ARGV[3])
    redis.call('HDEL', tips, last - tonumber(ARGV[4]))
end
redis.call('HSET', state, 'seq', last)
local gone = redis.call('ZRANGEBYSCORE', expiry, '-inf', now - tonumber(ARGV[5]), 'LIMIT', 0, 100)
for _, key in ipairs(gone) do
    redis.call('HDEL', marks, key)
    redis.call('ZREM', order, key)
    redis.call('ZREM', expiry, key)
end
redis.call('PUBLISH', ARGV[6], last)
return last
"""
)

# ARGV: number, seconds alive.
CONFIRMED = (
    _BEGIN
    + """
for _, name in ipairs(redis.call('ZRANGEBYSCORE', seen, now - tonumber(ARGV[2]), '+inf')) do
    local number = redis.call('HGET', confirmed, name)
    if number and tonumber(number) < tonumber(ARGV[1]) then return 0 end
end
return 1
"""
)
