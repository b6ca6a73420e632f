-- The health of a ModelDeployment, ServingTarget or InferenceEndpoint for Argo CD, from conditions in kstatus format.
local health = {status = "Progressing", message = "the operator has not observed this generation"}

if obj.metadata.deletionTimestamp ~= nil then
  health.message = "the deletion waits for the target's confirmation"
end

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end

local ready, stalled = nil, nil
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "Ready" then ready = condition end
  if condition.type == "Stalled" and condition.status == "True" then stalled = condition end
end

local said = stalled or ready
if said ~= nil then
  health.message = said.reason .. ": " .. (said.message or "")
end

if obj.metadata.deletionTimestamp ~= nil then
  health.status = "Progressing"
elseif stalled ~= nil then
  health.status = "Degraded"
elseif obj.spec.suspend == true then
  health.status = "Suspended"
elseif ready ~= nil and ready.status == "True" then
  health.status = "Healthy"
end

return health
