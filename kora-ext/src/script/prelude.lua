-- Builds the globals that scripts see.
--
-- Called once for each Lua state with the table of native functions and, for the state of function libraries, true. It returns the table that
-- holds the globals, the proxy that scripts see in its place, a function that says whether a library is being loaded, and one that runs a
-- function of a library.
--
-- Redis has read-only tables in its Lua; a stock Lua 5.1 has none, so every table that a script must not change is an empty proxy that reads
-- from the real one. Whatever looks at a table without metamethods is wrapped below so that it looks through the proxy. No function made
-- here may give the real tables away.
--
-- An error that a native function raises is a userdata, and one that a function of Lua raises from within a wrapper has a position in this chunk.
-- No script sees either: whatever catches errors passes them through `tidy`. Native functions are shown as they are, not wrapped, because a
-- wrapper that is called as `return f()` takes the place of the script on the stack, and with it the position.
local native, library_state = ...

local error, select, type, tostring = error, select, type, tostring
local setmetatable, getmetatable, rawget, rawset, rawequal = setmetatable, getmetatable, rawget, rawset, rawequal
local next, pairs, pcall, xpcall, loadstring = next, pairs, pcall, xpcall, loadstring
local insert, foreach, resume = table.insert, table.foreach, coroutine.resume
local byte, find, gsub, concat, string = string.byte, string.find, string.gsub, table.concat, string
local collectgarbage = collectgarbage

local READONLY = "Attempt to modify a readonly table"

-- Proxy to the table behind it, and proxy to what getmetatable says of it.
local behind, metatables = {}, {}

local function refuse()
  error(READONLY, 2)
end

local function protect(real, fallback)
  if fallback then setmetatable(real, fallback) end
  local proxy = setmetatable({}, { __index = real, __newindex = refuse })
  behind[proxy] = real
  if fallback then
    local shown = setmetatable({}, { __index = fallback, __newindex = refuse })
    behind[shown] = fallback
    metatables[proxy] = shown
  end
  return proxy
end

local function missing(_, name)
  local kind = type(name)
  if kind ~= "string" and kind ~= "number" then name = "(null)" end
  error("Script attempted to access nonexistent global variable '" .. name .. "'", 2)
end

local function tidy(problem)
  if type(problem) == "userdata" then return native.problem_value(problem) end
  if type(problem) == "string" and byte(problem) == 91 and find(problem, "^%[kora%]:%d+: ") then
    return native.position() .. gsub(problem, "^%[kora%]:%d+: ", "")
  end
  return problem
end

-- The base library.

local base = {
  _VERSION = _VERSION,
  assert = assert, error = error, gcinfo = gcinfo, ipairs = ipairs, rawequal = rawequal,
  select = select, tonumber = tonumber, tostring = tostring, type = type, unpack = unpack,
}

function base.next(...)
  local subject, key = ...
  local real = behind[subject]
  if real then return next(real, key) end
  return next(...)
end

function base.pairs(...)
  local subject = ...
  if behind[subject] then return base.next, subject, nil end
  return pairs(...)
end

function base.rawget(...)
  local subject, key = ...
  local real = behind[subject]
  if real then return rawget(real, key) end
  return rawget(...)
end

function base.rawset(...)
  local subject = ...
  if behind[subject] then error(READONLY, 0) end
  return rawset(...)
end

function base.setmetatable(...)
  local subject = ...
  if behind[subject] then error(READONLY, 0) end
  return setmetatable(...)
end

local string_metatable

function base.getmetatable(...)
  local subject = ...
  if behind[subject] then return metatables[subject] end
  if type(subject) == "string" then return string_metatable end
  return getmetatable(...)
end

-- As in Redis, a caught error that is a table with `err` becomes that text.
local function settle(ok, problem, ...)
  if ok then return true, problem, ... end
  problem = tidy(problem)
  if type(problem) == "table" then
    local text = rawget(problem, "err")
    if text ~= nil then return false, text end
  end
  return false, problem
end

function base.pcall(...)
  -- Without arguments Redis's own pcall calls the boolean that it was to return.
  if ... == nil and select("#", ...) == 0 then return false, "attempt to call a boolean value" end
  return settle(pcall(...))
end

function base.xpcall(...)
  if select("#", ...) < 2 then return xpcall(...) end
  local perform, handle = ...
  return xpcall(perform, function(problem) return handle(tidy(problem)) end)
end

-- Bytecode is refused with what the parser says of its first byte.
function base.loadstring(...)
  local text, name = ...
  if type(text) == "string" and byte(text) == 27 then
    if name == nil then
      name = '[string "' .. gsub(text, "[%z\n].*", "") .. '"]'
    else
      name = gsub(name, "^[=@]", "")
    end
    return nil, name .. ":1: unexpected symbol near 'char(27)'"
  end
  return loadstring(...)
end

function base.load(...)
  local reader, name = ...
  if type(reader) ~= "function" then
    local got = select("#", ...) == 0 and "no value" or type(reader)
    error("bad argument #1 to 'load' (function expected, got " .. got .. ")", 2)
  end
  local parts, count = {}, 0
  while true do
    local ok, part = pcall(reader)
    if not ok then return nil, tidy(part) end
    if part == nil or part == "" then break end
    if type(part) ~= "string" and type(part) ~= "number" then return nil, "reader function must return a string" end
    count = count + 1
    parts[count] = part
  end
  return base.loadstring(concat(parts), name or "=(load)")
end

-- The collector serves the memory limit that all scripts share: one script may run it, none may stop or tune it.
function base.collectgarbage(option, ...)
  if option == "stop" or option == "restart" then return 0 end
  if option == "setpause" or option == "setstepmul" then return 200 end
  return collectgarbage(option, ...)
end

-- The other libraries of Lua.

local function copy(from)
  local into = {}
  for name, value in pairs(from) do into[name] = value end
  return into
end

local tables = copy(table)

function tables.insert(...)
  local subject = ...
  if behind[subject] then error(READONLY, 0) end
  return insert(...)
end

function tables.foreach(...)
  local subject, visit = ...
  local real = behind[subject]
  if real then return foreach(real, visit) end
  return foreach(...)
end

local maths = copy(math)
maths.random = native.random
maths.randomseed = native.randomseed

local routines = copy(coroutine)

local function resumed(ok, problem, ...)
  if ok then return true, problem, ... end
  return false, tidy(problem)
end

function routines.resume(...)
  return resumed(resume(...))
end

-- The matcher of Lua 5.1 calls itself once for each item of a pattern, so that a pattern long enough overflows the stack of the thread; in Redis
-- it stops the server. Later versions of Lua draw the line at 200 levels, and so is it here, with their text.
local strings = copy(string)
local PATTERN_ITEMS_MAX = 200

local function guard(name)
  local match = string[name]
  return function(...)
    local _, pattern = ...
    if type(pattern) == "string" and #pattern > PATTERN_ITEMS_MAX then
      local _, items = gsub(pattern, "[?*+()-]", "")
      if items > PATTERN_ITEMS_MAX and not (name == "find" and select(4, ...)) then error("pattern too complex", 2) end
    end
    return match(...)
  end
end

for _, name in pairs({ "find", "gfind", "gmatch", "gsub", "match" }) do strings[name] = guard(name) end
getmetatable("").__index = strings

base.table = protect(tables)
base.math = protect(maths)
base.coroutine = protect(routines)
base.string = protect(strings)
string_metatable = protect({ __index = base.string })

-- The libraries that Redis adds.

base.bit = protect({
  tobit = native.tobit, tohex = native.tohex, bnot = native.bnot, bswap = native.bswap,
  band = native.band, bor = native.bor, bxor = native.bxor,
  lshift = native.lshift, rshift = native.rshift, arshift = native.arshift, rol = native.rol, ror = native.ror,
})

base.struct = protect({ pack = native.struct_pack, unpack = native.struct_unpack, size = native.struct_size })

base.cmsgpack = protect({
  _NAME = "cmsgpack", _VERSION = "lua-cmsgpack 0.4.0",
  _COPYRIGHT = "Copyright (C) 2012, Salvatore Sanfilippo", _DESCRIPTION = "MessagePack C implementation for Lua",
  pack = native.msgpack, unpack = native.msgunpack, unpack_one = native.msgunpack_one, unpack_limit = native.msgunpack_limit,
})

base.cjson = protect(native.json_codec())

-- redis.*

local redis = {
  call = native.call, pcall = native.pcall,
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  REDIS_VERSION = "7.0.15", REDIS_VERSION_NUM = 0x0007000f,
  REPL_NONE = 0, REPL_AOF = 1, REPL_REPLICA = 2, REPL_SLAVE = 2, REPL_ALL = 3,
  log = native.log, sha1hex = native.sha1hex, setresp = native.setresp,
  set_repl = native.set_repl, acl_check_cmd = native.acl_check_cmd,
}

function redis.error_reply(...)
  local text = ...
  if select("#", ...) ~= 1 or type(text) ~= "string" then return { err = "ERR wrong number or type of arguments" } end
  text = gsub(gsub(text, "^[\r\n]+", ""), "[\r\n]+$", "")
  local coded = find(text, " ", 1, true)
  text = gsub(text, "^%-", "")
  if not coded then text = "ERR " .. text end
  return { err = text }
end

function redis.status_reply(...)
  local text = ...
  if select("#", ...) ~= 1 or type(text) ~= "string" then return { err = "ERR wrong number or type of arguments" } end
  return { ok = text }
end

-- What a library sees while it is loaded: the means to register functions and to log.
local loading

if library_state then
  local early = { log = redis.log, REDIS_VERSION = redis.REDIS_VERSION, REDIS_VERSION_NUM = redis.REDIS_VERSION_NUM }
  for level, number in pairs({ LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3 }) do early[level] = number end
  early.register_function = native.register_function
  loading = setmetatable({ redis = protect(early, { __index = missing }) }, { __index = missing })
else
  redis.breakpoint = function() return false end
  redis.debug = function() end
  redis.replicate_commands = function() return true end
end

base.redis = protect(redis)

local globals = protect(base, { __index = missing })
base._G = globals

local function set_loading(active)
  getmetatable(globals).__index = active and loading or base
end

-- Calls a function of a library with its keys and arguments; xpcall itself passes none.
local pending, pending_keys, pending_words

local function perform()
  local callback, keys, words = pending, pending_keys, pending_words
  pending, pending_keys, pending_words = nil, nil, nil
  return callback(keys, words)
end

local function run(callback, keys, words)
  pending, pending_keys, pending_words = callback, keys, words
  return xpcall(perform, native.describe)
end

return base, globals, set_loading, run
