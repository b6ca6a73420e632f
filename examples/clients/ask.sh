#!/bin/sh
# Asks a served model a question: ask.sh NAMESPACE NAME QUESTION
# Needs kubectl with access to the hub, curl, and an address that the target's sourceRanges allow.
set -eu

namespace=$1 name=$2 question=$3

deployment() {
  kubectl -n "$namespace" get modeldeployments.roadstead.dev "$name" -o jsonpath="$1"
}

# Use the first placement: during a replacement it is the newest one that has answered.
url=$(deployment '{.status.placements[0].url}')
secret=$(deployment '{.status.placements[0].apiKeySecretName}')
if [ -z "$url" ] || [ -z "$secret" ]; then
  echo "$namespace/$name has no address yet: $(deployment '{.status.conditions[?(@.type=="Ready")].message}')" >&2
  exit 1
fi
key=$(kubectl -n "$namespace" get secret "$secret" -o jsonpath='{.data.apiKey}' | base64 -d)
model=$(deployment '{.spec.model.name}')

# The key goes to curl by standard input, because arguments appear in the list of processes.
escaped=$(printf %s "$question" | sed 's/\\/\\\\/g; s/"/\\"/g')
printf 'Authorization: Bearer %s\n' "$key" | curl --silent --show-error --fail-with-body --max-time 300 \
  "$url/v1/chat/completions" --header @- --header 'Content-Type: application/json' \
  --data "{\"model\": \"${model:-$name}\", \"messages\": [{\"role\": \"user\", \"content\": \"$escaped\"}]}"
echo
