-- Translates requests in OpenAI's protocol for the endpoints of a cluster that are models of Bedrock, and their answers. What does not
-- concern them passes as it is.

local METADATA = "roadstead.bedrock"
local PROTOCOLS = { invoke = invoke, converse = converse }

local function not_served(protocol)
  local routes = {}
  for route in pairs(protocol.served) do
    routes[#routes + 1] = route
  end
  table.sort(routes)
  return '{"error":{"message":"the endpoint that took this request is a model of Amazon Bedrock, which answers POST requests to '
    .. table.concat(routes, " and ") .. ' alone","type":"invalid_request_error","param":null,"code":"not_served"}}'
end

local function respond(handle, status, body)
  handle:respond({ [":status"] = status, ["content-type"] = "application/json" }, body)
end

-- An attempt finds the headers as the one before has left them, and the body of the caller. The filter that renames the model, which comes
-- before this one, states the length of what it has written.
local function restore_length(headers, metadata)
  local former, renaming = metadata:get(METADATA) or {}, metadata:get("roadstead.model") or {}
  if not former["length"] or renaming["is_renamed"] then
    return
  elseif former["length"] == "" then
    headers:remove("content-length")
  else
    headers:replace("content-length", former["length"])
  end
end

-- Replaces the body. The length that the caller stated is kept for another attempt; it is empty where the body came in chunks. After a
-- renaming the header has the length of the renamed body, and the filter that renames keeps the caller's.
local function replace(handle, body, text)
  local headers, metadata = handle:headers(), handle:streamInfo():dynamicMetadata()
  local renaming = metadata:get("roadstead.model") or {}
  if not renaming["is_renamed"] and not metadata:get(METADATA)["length"] then
    metadata:set(METADATA, "length", headers:get("content-length") or "")
  end
  headers:replace("content-length", tostring(body:setBytes(text)))
end

function envoy_on_request(handle)
  local headers, metadata = handle:headers(), handle:streamInfo():dynamicMetadata()
  local name = headers:get("x-roadstead-bedrock") or ""
  headers:remove("x-roadstead-bedrock")
  metadata:set(METADATA, "protocol", name)
  restore_length(headers, metadata)
  local protocol = PROTOCOLS[name]
  if not protocol then
    return
  end
  local model, route = string.match(headers:get(":path"), "^([^?]*)/v1/([^?]*)")
  if not protocol.served[route] or headers:get(":method") ~= "POST" then
    return respond(handle, "404", not_served(protocol))
  end
  -- A compressed answer could not be read, and callers of streams accept another type than Bedrock's.
  headers:remove("accept-encoding")
  headers:remove("accept")
  local body = handle:body()
  local text = body and body:getBytes(0, body:length()) or ""
  local asked, ending, kept = protocol.request(text)
  if not asked then
    handle:streamInfo():dynamicMetadata():set(METADATA, "is_refused", true)
    return respond(handle, "400", ending)
  end
  if body and asked ~= text then
    replace(handle, body, asked)
  end
  -- Headers and metadata of before the body are not these any more.
  for key, value in pairs(kept or {}) do
    handle:streamInfo():dynamicMetadata():set(METADATA, key, value)
  end
  handle:headers():replace(":path", model .. ending)
end

local UNREADABLE = '{"error":{"message":"the answer of Bedrock cannot be read","type":"server_error","param":null,"code":"answer"}}'

-- An answer that is no stream, in the protocol's terms.
local function translate(handle, state)
  local body = handle:body()
  local told = state.protocol.answer(state, body and body:getBytes(0, body:length()) or "")
  if not told then
    handle:headers():replace(":status", "502")
  end
  if body then
    handle:headers():replace("content-length", tostring(body:setBytes(told or UNREADABLE)))
  end
end

function envoy_on_response(handle)
  local kept = handle:streamInfo():dynamicMetadata():get(METADATA)
  local protocol = kept and PROTOCOLS[kept["protocol"]]
  if not protocol then
    return
  end
  local headers = handle:headers()
  local status = headers:get(":status")
  local state = {
    protocol = protocol,
    id = "chatcmpl-" .. string.gsub(headers:get("x-amzn-requestid") or "", "[^%w-]", ""),
    created = string.format("%d", os.time()),
    model = kept["model"],
    shows_usage = kept["shows_usage"] == "yes",
  }
  if status ~= "200" then
    refusal(handle, status)
  elseif string.find(headers:get("content-type") or "", "application/vnd.amazon.eventstream", 1, true) then
    stream(handle, state)
  elseif protocol.answer then
    translate(handle, state)
  end
end
