-- Errors and event streams of Bedrock: it refuses by a JSON object with a message, and answers streams in messages of AWS's binary
-- encoding instead of server-sent events.

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

local BROKEN = 'data: {"error":{"type":"server_error","code":"stream","message":"the stream of Bedrock is cut off or cannot be read"}}\n\n'

-- The server-sent event for an object: a line ends an event, and JSON needs none.
local function event(object)
  return "data: " .. string.gsub(object, "[\r\n]", " ") .. "\n\n"
end

-- The server-sent events for a message, and true for the end by an error.
local function shown(state, headers, payload)
  if headers[":message-type"] ~= "event" then
    local code = headers[":exception-type"] or headers[":error-code"] or "unknown"
    return event(as_error(payload, "server_error", string.gsub(code, "%W", ""))), true
  end
  return state.protocol.part(state, headers[":event-type"], payload)
end

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
      pieces[#pieces + 1], state.has_failed = shown(state, headers, string.sub(rest, 13 + of_headers, size - 4))
      rest = string.sub(rest, size + 1)
    end
  end
  state.rest = rest
  return table.concat(pieces)
end

local function stream(handle, state)
  handle:headers():replace("content-type", "text/event-stream")
  handle:headers():remove("content-length")
  state.rest, state.has_failed = "", false
  local last, text
  for chunk in handle:bodyChunks() do
    last, text = chunk, events(state, chunk:getBytes(0, chunk:length()))
    chunk:setBytes(text)
  end
  if last and not state.has_failed then
    local is_whole = state.rest == "" and state.protocol.is_whole(state)
    last:setBytes(text .. (is_whole and "data: [DONE]\n\n" or BROKEN))
  end
end

