-- Gives answers by which a service refuses any request for the moment a status by which Envoy sends the request elsewhere. What an
-- engine says of one request passes as it is.

local METADATA = "roadstead.refusals"
-- Bytes of an answer that are searched.
local LONGEST = 4096

function envoy_on_request(handle)
  local headers = handle:headers()
  local is_marked = (headers:get("x-roadstead-refusals") or "") ~= ""
  headers:remove("x-roadstead-refusals")
  handle:streamInfo():dynamicMetadata():set(METADATA, "is_marked", is_marked)
end

function envoy_on_response(handle)
  local metadata = handle:streamInfo():dynamicMetadata():get(METADATA)
  local refusals = REFUSALS[handle:headers():get(":status")]
  if not refusals or not metadata or not metadata["is_marked"] then
    return
  end
  local body = handle:body()
  local text = body and body:getBytes(0, math.min(body:length(), LONGEST)) or ""
  for _, refusal in ipairs(refusals) do
    if string.find(text, refusal.words, 1, true) then
      handle:headers():replace(":status", refusal.becomes)
      handle:headers():replace("retry-after", "2")
      return
    end
  end
end
