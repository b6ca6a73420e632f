-- Reads JSON. A string, a number or a word stays as it is written, so what is only handed on is neither decoded nor changed. An object
-- is a table with `members` by their keys, a list one with `items`.

local DEEPEST = 64

-- The last byte of the string that begins at `from`; nil if it does not end.
local function end_of_string(text, from)
  local at = from + 1
  while true do
    local found = string.find(text, '["\\]', at)
    if not found or string.sub(text, found, found) == '"' then
      return found
    end
    at = found + 2
  end
end

local function after_space(text, at)
  return string.find(text, "[^ \t\r\n]", at) or #text + 1
end

local read

-- The members or items up to the sign `last`, each read by `read_one`, and the byte behind them; nil if it is no JSON.
local function read_all(text, at, last, read_one)
  at = after_space(text, at)
  if string.sub(text, at, at) == last then
    return at + 1
  end
  while at do
    at = read_one(at)
    at = at and after_space(text, at)
    local sign = at and string.sub(text, at, at)
    if sign == last then
      return at + 1
    end
    at = sign == "," and at + 1
  end
end

local function read_object(text, from, depth)
  local members = {}
  local after = read_all(text, from, "}", function(at)
    at = after_space(text, at)
    local last = string.sub(text, at, at) == '"' and end_of_string(text, at)
    local colon = last and after_space(text, last + 1)
    if colon and string.sub(text, colon, colon) == ":" then
      local found, behind = read(text, colon + 1, depth)
      members[string.sub(text, at + 1, last - 1)] = found
      return behind
    end
  end)
  return after and { members = members }, after
end

local function read_list(text, from, depth)
  local items = {}
  local after = read_all(text, from, "]", function(at)
    local found, behind = read(text, at, depth)
    items[#items + 1] = found
    return behind
  end)
  return after and { items = items }, after
end

local function read_word(text, at)
  local word = string.match(text, "^-?%d+%.?%d*[eE]?[+-]?%d*", at) or string.match(text, "^%l+", at)
  if word and (word == "true" or word == "false" or word == "null" or string.find(word, "%d")) then
    return word, at + #word
  end
end

-- The value at `from`, and the byte behind it; nil if it is no JSON.
function read(text, from, depth)
  local at, inside = after_space(text, from), (depth or 0) + 1
  local sign = string.sub(text, at, at)
  if inside > DEEPEST then
    return nil
  elseif sign == "{" then
    return read_object(text, at + 1, inside)
  elseif sign == "[" then
    return read_list(text, at + 1, inside)
  elseif sign == '"' then
    local last = end_of_string(text, at)
    return last and string.sub(text, at, last), last and last + 1
  end
  return read_word(text, at)
end

-- The value that is all of a text; nil if it is none.
local function whole(text)
  local found, after = read(text, 1)
  return found and after_space(text, after) > #text and found or nil
end

-- The member of an object by these keys, one within the other.
local function member(value, ...)
  for _, key in ipairs({ ... }) do
    value = type(value) == "table" and value.members and value.members[key] or nil
  end
  return value
end

local function is_string(value)
  return type(value) == "string" and string.sub(value, 1, 1) == '"'
end

-- One string of several.
local function joined(strings)
  for at, one in ipairs(strings) do
    strings[at] = string.sub(one, 2, -2)
  end
  return '"' .. table.concat(strings) .. '"'
end

