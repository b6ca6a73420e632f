-- Turns requests in OpenAI's protocol into InvokeModel of Bedrock, and answers back. Bodies are OpenAI's on both sides: Bedrock wants the
-- kind of answer in the path instead of `stream`, answers streams in messages of AWS's binary encoding instead of server-sent events,
-- and refuses by a JSON object with a message.

local METADATA = "roadstead.bedrock"
local SERVED = { ["chat/completions"] = true, ["completions"] = true }
local NOT_SERVED = '{"error":{"message":"the endpoint that took this request is a model of Amazon Bedrock, which answers POST requests '
  .. 'to chat/completions and completions alone","type":"invalid_request_error","param":null,"code":"not_served"}}'

-- The last byte of the JSON string that begins at `from`.
local function end_of_string(text, from)
  local at = from + 1
  while true do
    local found = string.find(text, '["\\]', at)
    if not found or string.sub(text, found, found) == '"' then
      return found or #text
    end
    at = found + 2
  end
end

-- The first and last byte of `"stream": VALUE` among the members of an object, and the value.
local function find_stream(text)
  local depth, at = 0, string.find(text, '["{}%[%]]')
  while at do
    local sign, last = string.sub(text, at, at), at
    if sign == '"' then
      last = end_of_string(text, at)
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

function envoy_on_request(handle)
  local headers = handle:headers()
  local is_bedrock = (headers:get("x-roadstead-bedrock") or "") ~= ""
  headers:remove("x-roadstead-bedrock")
  handle:streamInfo():dynamicMetadata():set(METADATA, "is_bedrock", is_bedrock)
  if not is_bedrock then
    return
  end
  local model, route = string.match(headers:get(":path"), "^([^?]*)/v1/([^?]*)")
  if not SERVED[route] or headers:get(":method") ~= "POST" then
    handle:respond({ [":status"] = "404", ["content-type"] = "application/json" }, NOT_SERVED)
    return
  end
  -- A compressed answer could not be read, and callers of streams accept another type than Bedrock's.
  headers:remove("accept-encoding")
  headers:remove("accept")
  local body = handle:body()
  local text = body and body:getBytes(0, body:length()) or ""
  local first, last, value = find_stream(text)
  if first then
    body:setBytes(blanked(text, first, last))
  end
  local ending = value == "true" and "/invoke-with-response-stream" or "/invoke"
  -- The headers of before the body are not these any more.
  handle:headers():replace(":path", model .. ending)
end

-- An error in OpenAI's form: the object of Bedrock, with a type and a code.
local function as_error(object, kind, code)
  local inside, found = string.gsub(object, '^%s*{%s*"', "", 1)
  inside = found == 1 and string.gsub(inside, '^Message"', 'message"') or 'message":"Bedrock gives no cause"}'
  return '{"error":{"type":"' .. kind .. '","code":"' .. code .. '","' .. inside .. "}"
end

local KINDS = { ["403"] = "permission_error", ["429"] = "rate_limit_error" }

local function refusal(handle, status)
  local code = string.match(handle:headers():get("x-amzn-errortype") or "", "^%w+") or "refused"
  local body = handle:body()
  if body then
    local kind = KINDS[status] or (status < "500" and "invalid_request_error" or "server_error")
    local length = body:setBytes(as_error(body:getBytes(0, body:length()), kind, code))
    handle:headers():replace("content-length", tostring(length))
  end
end

-- Bytes of a message beside its headers and payload, and the most of all: a part of an answer is far smaller.
local FRAME, LONGEST = 16, 2 ^ 20
-- Bytes of a header's value by its type; texts and bytes (7 and 6) have their length before them.
local SIZES = { [0] = 0, [1] = 0, [2] = 1, [3] = 2, [4] = 4, [5] = 8, [8] = 8, [9] = 16 }

local function number(text, at, size)
  local value = 0
  for _, byte in ipairs({ string.byte(text, at, at + size - 1) }) do
    value = value * 256 + byte
  end
  return value
end

-- The headers of a message that are texts.
local function headers_of(text)
  local found, at = {}, 1
  while at < #text do
    local name = string.sub(text, at + 1, at + string.byte(text, at))
    local kind = at + 1 + #name
    local size = SIZES[string.byte(text, kind)]
    local from = kind + 1
    if not size then
      size, from = number(text, from, 2), from + 2
    end
    found[name], at = string.sub(text, from, from + size - 1), from + size
  end
  return found
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

-- The server-sent event for a message, and true for the end by an error.
local function event(headers, payload)
  if headers[":message-type"] ~= "event" then
    local code = headers[":exception-type"] or headers[":error-code"] or "unknown"
    return "data: " .. as_error(payload, "server_error", string.gsub(code, "%W", "")) .. "\n\n", true
  end
  local part = string.match(payload, '"bytes"%s*:%s*"([^"]*)"')
  -- A line ends an event, and JSON needs none.
  return part and "data: " .. string.gsub(decoded(part), "[\r\n]", " ") .. "\n\n" or "", false
end

local BROKEN = 'data: {"error":{"type":"server_error","code":"stream","message":"the stream of Bedrock is cut off or cannot be read"}}\n\n'

-- The events of all messages that are complete with these bytes. The last, incomplete one waits for the next bytes.
local function events(state, bytes)
  if state.has_failed then
    return ""
  end
  local rest, pieces = state.rest .. bytes, {}
  while not state.has_failed and #rest >= 8 do
    local size, of_headers = number(rest, 1, 4), number(rest, 5, 4)
    if size > LONGEST or size < FRAME + of_headers then
      pieces[#pieces + 1], state.has_failed = BROKEN, true
    elseif #rest < size then
      break
    else
      local headers = headers_of(string.sub(rest, 13, 12 + of_headers))
      pieces[#pieces + 1], state.has_failed = event(headers, string.sub(rest, 13 + of_headers, size - 4))
      rest = string.sub(rest, size + 1)
    end
  end
  state.rest = rest
  return table.concat(pieces)
end

local function stream(handle)
  handle:headers():replace("content-type", "text/event-stream")
  handle:headers():remove("content-length")
  local state = { rest = "", has_failed = false }
  local last, shown
  for chunk in handle:bodyChunks() do
    last, shown = chunk, events(state, chunk:getBytes(0, chunk:length()))
    chunk:setBytes(shown)
  end
  if last and not state.has_failed then
    last:setBytes(shown .. (state.rest == "" and "data: [DONE]\n\n" or BROKEN))
  end
end

function envoy_on_response(handle)
  local metadata = handle:streamInfo():dynamicMetadata():get(METADATA)
  if not metadata or not metadata["is_bedrock"] then
    return
  end
  local headers = handle:headers()
  local status = headers:get(":status")
  if status ~= "200" then
    refusal(handle, status)
  elseif string.find(headers:get("content-type") or "", "application/vnd.amazon.eventstream", 1, true) then
    stream(handle)
  end
end
