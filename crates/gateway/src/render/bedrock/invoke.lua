-- InvokeModel of an imported model. Bodies are OpenAI's on both sides: Bedrock wants the kind of answer in the path instead of `stream`,
-- and each message of a stream has a part of OpenAI's.

-- The first and last byte of `"stream": VALUE` among the members of an object, and the value.
local function find_stream(text)
  local depth, at = 0, string.find(text, '["{}%[%]]')
  while at do
    local sign, last = string.sub(text, at, at), at
    if sign == '"' then
      last = end_of_string(text, at) or #text
      if depth == 1 and string.sub(text, at, last) == '"stream"' then
        local _, after, value = string.find(text, "^%s*:%s*(%a+)", last + 1)
        if value then
          return at, after, value
        end
      end
    else
      depth = depth + ((sign == "{" or sign == "[") and 1 or -1)
    end
    at = string.find(text, '["{}%[%]]', last + 1)
  end
end

-- The text with spaces instead of a member and a comma beside it, so that its length stays what the headers say.
local function blanked(text, first, last)
  local _, comma = string.find(text, "^%s*,", last + 1)
  if not comma then
    first = string.find(string.sub(text, 1, first - 1), ",%s*$") or first
  end
  last = comma or last
  return string.sub(text, 1, first - 1) .. string.rep(" ", last - first + 1) .. string.sub(text, last + 1)
end

local DIGITS = {}
for value = 0, 63 do
  local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  DIGITS[string.byte(digits, value + 1)] = value
end

-- The bytes of a text in base64, in which JSON may have escaped the slashes.
local function decoded(text)
  return (string.gsub(string.gsub(text, "[^%w+/]", ""), "..?.?.?", function(part)
    local bits = 0
    for at = 1, 4 do
      bits = bits * 64 + (DIGITS[string.byte(part, at)] or 0)
    end
    local bytes = string.char(math.floor(bits / 65536), math.floor(bits / 256) % 256, bits % 256)
    return string.sub(bytes, 1, #part - 1)
  end))
end

local invoke = { served = { ["chat/completions"] = true, ["completions"] = true } }

-- The body as Bedrock wants it, of the same length, and the end of the path.
function invoke.request(text)
  local first, last, value = find_stream(text)
  if first then
    text = blanked(text, first, last)
  end
  return text, value == "true" and "/invoke-with-response-stream" or "/invoke"
end

function invoke.part(_, _, payload)
  local part = string.match(payload, '"bytes"%s*:%s*"([^"]*)"')
  return part and event(decoded(part)) or "", false
end

function invoke.is_whole()
  return true
end

