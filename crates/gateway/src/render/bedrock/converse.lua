-- Converse of a model with provisioned throughput, whose bodies are the same for the models of every maker. A chat becomes a
-- conversation, and the answer a chat's. What has no translation is refused by the name of its field: nothing is left out.

-- Values that ask for nothing beside what Converse does.
local NEUTRAL = {
  frequency_penalty = { ["0"] = true, ["0.0"] = true },
  presence_penalty = { ["0"] = true, ["0.0"] = true },
  logprobs = { ["false"] = true },
  n = { ["1"] = true },
  parallel_tool_calls = { ["true"] = true },
  service_tier = { ['"auto"'] = true },
  store = { ["false"] = true },
  tool_choice = { ['"none"'] = true },
  top_logprobs = { ["0"] = true },
}
-- Fields of a chat that are one of Converse's `inferenceConfig`.
local SETTINGS = { max_tokens = "maxTokens", max_completion_tokens = "maxTokens", temperature = "temperature", top_p = "topP" }
local REASONS = {
  ['"end_turn"'] = "stop",
  ['"stop_sequence"'] = "stop",
  ['"max_tokens"'] = "length",
  ['"model_context_window_exceeded"'] = "length",
  ['"guardrail_intervened"'] = "content_filter",
  ['"content_filtered"'] = "content_filter",
}

-- True for a value that says nothing: null, and a list or an object without anything in it.
local function is_empty(value)
  if type(value) == "table" then
    return next(value.items or value.members) == nil
  end
  return value == "null"
end

-- Notes the first fault of a request.
local function refuse(chat, param, why)
  chat.fault = chat.fault or { param = param, why = why }
end

-- The blocks of a text. Converse refuses a blank one.
local function block_of(chat, text, param)
  if not string.find(string.gsub(text, "\\[nrt]", ""), "[^%s\"]") then
    refuse(chat, param, "it must not be blank")
  end
  return '{"text":' .. text .. "}"
end

local function blocks_of_parts(chat, parts, param)
  local blocks = {}
  for number, part in ipairs(parts) do
    local at = param .. "[" .. number - 1 .. "]"
    local text = member(part, "text")
    if member(part, "type") ~= '"text"' then
      refuse(chat, at .. ".type", "only parts of type text can be translated")
    elseif not is_string(text) then
      refuse(chat, at .. ".text", "it must be a string")
    else
      blocks[#blocks + 1] = block_of(chat, text, at .. ".text")
    end
    for key, value in pairs(part.members or {}) do
      if key ~= "type" and key ~= "text" and not is_empty(value) then
        refuse(chat, at .. "." .. key, "it has no translation")
      end
    end
  end
  return blocks
end

-- The blocks of a message's content.
local function blocks_of(chat, content, param)
  if is_string(content) then
    return { block_of(chat, content, param) }
  elseif type(content) == "table" and content.items and content.items[1] then
    return blocks_of_parts(chat, content.items, param)
  end
  refuse(chat, param, "it must be a string or a list of parts of type text")
  return {}
end

local function append(list, more)
  for _, one in ipairs(more) do
    list[#list + 1] = one
  end
end

-- Adds a message to the conversation, in which callers and model take turns.
local function add_message(chat, message, param)
  local role = member(message, "role")
  for key, value in pairs(message.members or {}) do
    if key ~= "role" and key ~= "content" and not is_empty(value) then
      refuse(chat, param .. "." .. key, "it has no translation")
    end
  end
  local blocks = blocks_of(chat, member(message, "content"), param .. ".content")
  local latest = chat.messages[#chat.messages]
  if role == '"system"' or role == '"developer"' then
    if latest then
      refuse(chat, param .. ".role", "a message of the system comes before all others")
    end
    append(chat.system, blocks)
  elseif role ~= '"user"' and role ~= '"assistant"' then
    refuse(chat, param .. ".role", "the roles are system, developer, user and assistant")
  elseif latest and latest.role == role then
    append(latest.blocks, blocks)
  else
    chat.messages[#chat.messages + 1] = { role = role, blocks = blocks }
  end
end

local fields = {}

function fields.messages(chat, value)
  if type(value) ~= "table" or not value.items or not value.items[1] then
    return refuse(chat, "messages", "it must be a list of messages")
  end
  for number, message in ipairs(value.items) do
    local param = "messages[" .. number - 1 .. "]"
    if type(message) == "table" then
      add_message(chat, message, param)
    else
      refuse(chat, param, "it must be an object")
    end
  end
end

function fields.model(chat, value)
  if is_string(value) then
    chat.model = value
  else
    refuse(chat, "model", "it must be a string")
  end
end

function fields.stop(chat, value)
  local sequences = type(value) == "table" and value.items or { value }
  for _, sequence in ipairs(sequences) do
    if not is_string(sequence) then
      return refuse(chat, "stop", "it must be a string or a list of strings")
    end
  end
  chat.config.stopSequences = "[" .. table.concat(sequences, ",") .. "]"
end

function fields.stream(chat, value)
  if value ~= "true" and value ~= "false" then
    return refuse(chat, "stream", "it must be true or false")
  end
  chat.streams = value == "true"
end

function fields.stream_options(chat, value)
  if type(value) ~= "table" or not value.members then
    return refuse(chat, "stream_options", "it must be an object")
  end
  for key, option in pairs(value.members) do
    if key == "include_usage" then
      chat.shows_usage = option == "true"
    elseif not is_empty(option) then
      refuse(chat, "stream_options." .. key, "it has no translation")
    end
  end
end

-- Source of characters and length: botocore, requestMetadata of Converse.
function fields.user(chat, value)
  if is_string(value) and #value <= 258 and not string.find(value, '[^%w%s:_@$#=/+,.%-"]') then
    chat.user = value
  else
    refuse(chat, "user", "it must be a string of at most 256 letters, digits, spaces and signs of :_@$#=/+,-.")
  end
end

function fields.response_format(chat, value)
  if member(value, "type") ~= '"text"' then
    refuse(chat, "response_format", "only text can be translated")
  end
end

local function set(chat, key, value)
  local name = SETTINGS[key]
  if type(value) == "table" or is_string(value) then
    refuse(chat, key, "it must be a number")
  elseif chat.config[name] and chat.config[name] ~= value then
    refuse(chat, key, "max_tokens and max_completion_tokens contradict each other")
  else
    chat.config[name] = value
  end
end

-- The chat that a body asks for, or with a fault.
local function chat_of(body)
  local chat = { messages = {}, system = {}, config = {}, streams = false, shows_usage = false, model = '""' }
  local object = whole(body)
  if type(object) ~= "table" or not object.members then
    refuse(chat, nil, "the body is no JSON object")
    return chat
  end
  if not object.members.messages then
    refuse(chat, "messages", "it is missing")
  end
  for key, value in pairs(object.members) do
    local neutral = NEUTRAL[key]
    if is_empty(value) and key ~= "messages" or neutral and neutral[value] then
      -- It asks for nothing.
    elseif SETTINGS[key] then
      set(chat, key, value)
    elseif fields[key] then
      fields[key](chat, value)
    else
      refuse(chat, key, "it has no translation")
    end
  end
  return chat
end

local function list_of(blocks)
  return "[" .. table.concat(blocks, ",") .. "]"
end

-- A chat as a conversation.
local function conversation(chat)
  local messages, parts, settings = {}, {}, {}
  for _, message in ipairs(chat.messages) do
    messages[#messages + 1] = '{"role":' .. message.role .. ',"content":' .. list_of(message.blocks) .. "}"
  end
  parts[1] = '"messages":' .. list_of(messages)
  if chat.system[1] then
    parts[#parts + 1] = '"system":' .. list_of(chat.system)
  end
  for _, name in ipairs({ "maxTokens", "stopSequences", "temperature", "topP" }) do
    if chat.config[name] then
      settings[#settings + 1] = '"' .. name .. '":' .. chat.config[name]
    end
  end
  if settings[1] then
    parts[#parts + 1] = '"inferenceConfig":{' .. table.concat(settings, ",") .. "}"
  end
  if chat.user then
    parts[#parts + 1] = '"requestMetadata":{"user":' .. chat.user .. "}"
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- The text of a fault as JSON has it.
local function quoted(text)
  return '"' .. string.gsub(text, '[%c"\\]', " ") .. '"'
end

local function refusal_of(fault)
  local param = fault.param and quoted(fault.param) or "null"
  local message = (fault.param and fault.param .. ": " or "") .. fault.why
    .. "; the endpoint that took this request is a model of Amazon Bedrock with provisioned throughput"
  return '{"error":{"message":' .. quoted(message) .. ',"type":"invalid_request_error","param":' .. param
    .. ',"code":"unsupported_value"}}'
end

local converse = { served = { ["chat/completions"] = true } }

-- The body as Bedrock wants it, the end of the path, and what the answer needs of the request; or nil and the refusal.
function converse.request(text)
  local chat = chat_of(text)
  if chat.fault then
    return nil, refusal_of(chat.fault)
  end
  local kept = { model = chat.model, shows_usage = chat.shows_usage and "yes" or "" }
  return conversation(chat), chat.streams and "/converse-stream" or "/converse", kept
end

local function usage_of(usage)
  local input, output = member(usage, "inputTokens"), member(usage, "outputTokens")
  if not input or not output then
    return nil
  end
  local total = member(usage, "totalTokens") or string.format("%d", tonumber(input) + tonumber(output))
  return '{"prompt_tokens":' .. input .. ',"completion_tokens":' .. output .. ',"total_tokens":' .. total .. "}"
end

local function reason_of(value)
  return REASONS[value] or "stop"
end

-- An object of OpenAI's with these choices.
local function object_of(state, kind, choices, usage)
  return '{"id":"' .. state.id .. '","object":"' .. kind .. '","created":' .. state.created .. ',"model":' .. state.model
    .. ',"choices":[' .. choices .. "]" .. (usage and ',"usage":' .. usage or "") .. "}"
end

-- The texts of a message and of its reasoning; nil for a block that has no translation.
local function texts_of(blocks)
  local texts, reasoning = {}, {}
  for _, block in ipairs(blocks) do
    local text, thought = member(block, "text"), member(block, "reasoningContent", "reasoningText", "text")
    if is_string(text) then
      texts[#texts + 1] = text
    elseif is_string(thought) then
      reasoning[#reasoning + 1] = thought
    elseif not member(block, "reasoningContent") then
      return nil
    end
  end
  return joined(texts), reasoning[1] and joined(reasoning)
end

-- The answer of Converse as that of a chat; nil if it cannot be one.
function converse.answer(state, body)
  local told = whole(body)
  local content = member(told, "output", "message", "content")
  local text, reasoning = texts_of(type(content) == "table" and content.items or { "" })
  if not text then
    return nil
  end
  local message = '{"role":"assistant","content":' .. text .. (reasoning and ',"reasoning_content":' .. reasoning or "") .. "}"
  local choice = '{"index":0,"message":' .. message .. ',"logprobs":null,"finish_reason":"'
    .. reason_of(member(told, "stopReason")) .. '"}'
  return object_of(state, "chat.completion", choice, usage_of(member(told, "usage")))
end

local function chunk(state, delta, reason)
  local choice = '{"index":0,"delta":' .. delta .. ',"logprobs":null,"finish_reason":' .. reason .. "}"
  return event(object_of(state, "chat.completion.chunk", choice))
end

local parts = {}

function parts.messageStart(state)
  return chunk(state, '{"role":"assistant","content":""}', "null")
end

function parts.contentBlockDelta(state, told)
  local text, thought = member(told, "delta", "text"), member(told, "delta", "reasoningContent", "text")
  if is_string(text) then
    return chunk(state, '{"content":' .. text .. "}", "null")
  elseif is_string(thought) then
    return chunk(state, '{"reasoning_content":' .. thought .. "}", "null")
  end
  -- A signature of reasoning is for conversations that hand it back, which a chat cannot.
  return member(told, "delta", "reasoningContent") and ""
end

function parts.contentBlockStop()
  return ""
end

function parts.messageStop(state, told)
  state.has_stopped = true
  return chunk(state, "{}", '"' .. reason_of(member(told, "stopReason")) .. '"')
end

function parts.metadata(state, told)
  local usage = state.shows_usage and usage_of(member(told, "usage"))
  return usage and event(object_of(state, "chat.completion.chunk", "", usage)) or ""
end

-- The events for a message of a stream, and true for the end by an error: a kind of message that has no translation.
function converse.part(state, kind, payload)
  local translate, told = parts[kind], whole(payload)
  local shown = translate and told and translate(state, told)
  return shown or BROKEN, not shown
end

function converse.is_whole(state)
  return state.has_stopped
end
