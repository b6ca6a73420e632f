-- Replaces the value of `model` in a JSON object, and in its member `response`, while the text arrives in pieces. Everything else
-- passes as it is, and no byte waits for the next piece.

local function is_model(state)
  local depth = state.depth
  return state.kinds[depth] == "{" and state.keys[depth] == "model"
    and (depth == 1 or (depth == 2 and state.keys[1] == "response"))
end

local function begin_string(state, name)
  if state.expects_key then
    state.mode, state.text = "key", ""
  elseif is_model(state) then
    state.mode = "replaced"
    return name
  else
    state.mode = "value"
  end
  return '"'
end

local function structure(state, name, sign)
  if sign == '"' then
    return state.depth > 0 and begin_string(state, name) or sign
  end
  if sign == "{" or sign == "[" then
    state.depth = state.depth + 1
    state.kinds[state.depth], state.keys[state.depth] = sign, nil
    state.expects_key = sign == "{"
  elseif sign == "," then
    state.expects_key = state.kinds[state.depth] == "{"
  else
    state.depth = math.max(0, state.depth - 1)
    state.expects_key = false
  end
  return sign
end

-- A key as its receiver reads it, which may have been written with escapes.
local function unescaped(key)
  return (string.gsub(key, "\\u00(%x%x)", function(code)
    return string.char(tonumber(code, 16))
  end))
end

local function end_string(state)
  if state.mode == "key" then
    state.keys[state.depth], state.expects_key = unescaped(state.text), false
  end
  state.mode = nil
end

local function in_string(state, text, from)
  local at = state.is_escaped and from or string.find(text, '["\\]', from) or #text
  local sign = string.sub(text, at, at)
  local part = string.sub(text, from, at)
  local shown = state.mode == "replaced" and "" or part
  if state.is_escaped then
    state.is_escaped = false
  elseif sign == "\\" then
    state.is_escaped = true
  elseif sign == '"' then
    if state.mode == "key" then
      state.text = state.text .. string.sub(part, 1, -2)
    end
    end_string(state)
    return shown, at + 1
  end
  if state.mode == "key" then
    state.text = state.text .. part
  end
  return shown, at + 1
end

local function begin()
  return { depth = 0, kinds = {}, keys = {}, expects_key = false, is_escaped = false }
end

-- The next piece of a text, with `name`, a JSON string, as its model.
local function rename(state, name, text)
  local pieces, from = {}, 1
  while from <= #text do
    local piece
    if state.mode then
      piece, from = in_string(state, text, from)
    else
      local at = string.find(text, '["{}%[%],]', from)
      if not at then
        pieces[#pieces + 1] = string.sub(text, from)
        break
      end
      pieces[#pieces + 1] = string.sub(text, from, at - 1)
      piece, from = structure(state, name, string.sub(text, at, at)), at + 1
    end
    pieces[#pieces + 1] = piece
  end
  return table.concat(pieces)
end

local METADATA = "roadstead.model"

function envoy_on_request(handle)
  local headers = handle:headers()
  local name = headers:get("x-roadstead-model") or ""
  headers:remove("x-roadstead-model")
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set(METADATA, "is_renamed", name ~= "")
  local former = metadata:get(METADATA)
  if name == "" then
    -- A former attempt may have renamed the model: the headers are still its own, the body is the caller's again.
    if former["length"] == "" then
      headers:remove("content-length")
    elseif former["length"] then
      headers:replace("content-length", former["length"])
    end
    return
  end
  if not former["length"] then
    -- Empty where the caller stated none: it sent its body in chunks.
    metadata:set(METADATA, "length", headers:get("content-length") or "")
  end
  -- A compressed answer could not be read.
  headers:remove("accept-encoding")
  local body = handle:body()
  if body then
    local length = body:setBytes(rename(begin(), name, body:getBytes(0, body:length())))
    -- The headers of before the body are not these any more.
    handle:headers():replace("content-length", tostring(length))
  end
end

function envoy_on_response(handle)
  local metadata = handle:streamInfo():dynamicMetadata():get(METADATA)
  if not metadata or not metadata["is_renamed"] then
    return
  end
  handle:headers():remove("content-length")
  local state = begin()
  for chunk in handle:bodyChunks() do
    local length = chunk:length()
    if length > 0 then
      chunk:setBytes(rename(state, OWN_NAME, chunk:getBytes(0, length)))
    end
  end
end
