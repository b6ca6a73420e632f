-- Reads the tokens that an answer states in its usage, and asks streams to state them.
--
-- Inside a JSON string a quote is escaped, so the patterns below match keys and never a text of a message.

local NAMESPACE = "roadstead.usage"
-- Usage is at the end of an answer, and of a stream in the last event that has data.
local KEPT = 16384
local NAMES = {
  prompt = { '"prompt_tokens"', '"input_tokens"' },
  completion = { '"completion_tokens"', '"output_tokens"' },
  total = { '"total_tokens"' },
}

local function count(text, names)
  for _, name in ipairs(names) do
    local number = string.match(text, name .. "%s*:%s*(%d+)")
    if number then
      return tonumber(number)
    end
  end
end

-- The text from the last usage on that is an object.
local function last_usage(text)
  local found, from = nil, 1
  while true do
    local at, after = string.find(text, '"usage"%s*:%s*{', from)
    if not at then
      return found
    end
    found, from = string.sub(text, at), after
  end
end

function envoy_on_request(handle)
  local asks = handle:metadata():get("asks")
  local path = handle:headers():get(":path") or ""
  if not asks or not string.find(path, "/completions", 1, true) then
    return
  end
  local body = handle:body()
  local text = body and body:getBytes(0, body:length()) or ""
  if not string.find(text, '"stream"%s*:%s*true') then
    return
  end
  local asked, replaced
  if string.find(text, '"stream_options"%s*:') then
    asked, replaced = string.gsub(text, '("include_usage"%s*:%s*)false', "%1true")
  else
    asked, replaced = string.gsub(text, "^%s*{", '{"stream_options":{"include_usage":true},', 1)
  end
  if replaced > 0 then
    handle:headers():replace("content-length", tostring(body:setBytes(asked)))
  end
end

function envoy_on_response(handle)
  local kept = ""
  for chunk in handle:bodyChunks() do
    local length = chunk:length()
    if length > 0 then
      kept = string.sub(kept .. chunk:getBytes(0, length), -KEPT)
    end
  end
  local usage, tokens = last_usage(kept), {}
  for kind, names in pairs(usage and NAMES or {}) do
    tokens[kind] = count(usage, names)
  end
  if tokens.total and tokens.prompt then
    -- Some vendors count the tokens of reasoning in the total alone.
    tokens.completion = math.max(tokens.completion or 0, tokens.total - tokens.prompt)
  end
  for kind, number in pairs(tokens) do
    handle:streamInfo():dynamicMetadata():set(NAMESPACE, kind, number)
  end
end
