{{- define "roadstead.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "roadstead.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "roadstead.name" .) -}}
{{- else -}}
{{- required "serviceAccount.name is required when serviceAccount.create is false: name a service account that exists" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "roadstead.selector" -}}
app.kubernetes.io/name: roadstead
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "roadstead.labels" -}}
{{ include "roadstead.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Not the operator's name, so that no selector of one matches the other. */}}
{{- define "roadstead.cloudSelector" -}}
app.kubernetes.io/name: roadstead-simulated-cloud
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "roadstead.cloudLabels" -}}
{{ include "roadstead.cloudSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "roadstead.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "roadstead.gatewayUrl" -}}
{{- required "gateway.url is required when gateway.enabled is true: set the address that callers use, for example --set gateway.url=https://models.example.com" .Values.gateway.url -}}
{{- end }}

{{- define "roadstead.installId" -}}
{{- required "installId is required: choose an id for this installation, for example --set installId=prod, and store it with your backups; a rebuilt hub needs it to find its endpoints (1 to 32 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen)" .Values.installId -}}
{{- end }}

{{/*
Refuses an installId that differs from that of the endpoints on the hub, as the operator does. Only Helm itself can read the hub;
`helm template`, and tools that use it, cannot. Records of older releases do not name their installation, so they count as those
of the release's own Deployment.
*/}}
{{- define "roadstead.refuseOtherInstallation" -}}
{{- if .Capabilities.APIVersions.Has "roadstead.dev/v1alpha1/InferenceEndpoint" -}}
{{- $id := include "roadstead.installId" . -}}
{{- $former := $id -}}
{{- range (dig "spec" "template" "spec" "containers" list (lookup "apps/v1" "Deployment" .Release.Namespace (include "roadstead.name" .))) -}}
{{- range .env -}}
{{- if eq .name "ROADSTEAD_INSTALL_ID" -}}{{- $former = .value -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $namespace := .Values.watchNamespaces | default (list "") -}}
{{- range (lookup "roadstead.dev/v1alpha1" "InferenceEndpoint" $namespace "").items -}}
{{- $theirs := dig "metadata" "labels" "roadstead.dev/install-id" $former . -}}
{{- if ne $theirs $id -}}
{{- fail (printf "installId %q: InferenceEndpoint %s/%s belongs to installation %q; set installId back to %q. To change the id on purpose, delete all ModelDeployments under %q first and wait until they are gone" $id .metadata.namespace .metadata.name $theirs $theirs $theirs) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Rights to tenants' objects: in the whole cluster, or in each watched namespace. */}}
{{- define "roadstead.tenantRules" -}}
- apiGroups: [roadstead.dev]
  resources: [modeldeployments]
  verbs: [get, list, watch, patch]
- apiGroups: [roadstead.dev]
  resources: [inferenceendpoints]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [roadstead.dev]
  resources: [modeldeployments/status, inferenceendpoints/status]
  verbs: [patch]
# By name: Secrets that deployments name, and the API keys of endpoints.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* TYPE=URL of each override, in the order of their types. */}}
{{- define "roadstead.endpointOverrides" -}}
{{- $pairs := list -}}
{{- range $type, $url := . -}}{{- $pairs = append $pairs (printf "%s=%s" $type $url) -}}{{- end -}}
{{- join "," $pairs -}}
{{- end }}

{{/* Identities of a pod in another cluster than the cloud's: a token of its service account for each, and what a cloud's client reads. */}}
{{- define "roadstead.federationEnv" -}}
{{- if and .Values.federation.google.audience (not .Values.federation.google.configMap) }}
{{- fail "federation.google.configMap is required with federation.google.audience: name the ConfigMap with credentials.json" }}
{{- end }}
{{- if and .Values.federation.azure.clientId (not .Values.federation.azure.tenantId) }}
{{- fail "federation.azure.tenantId is required with federation.azure.clientId: name the tenant of Entra ID" }}
{{- end }}
{{- with .Values.federation.google.configMap }}
- {name: GOOGLE_APPLICATION_CREDENTIALS, value: /var/run/secrets/roadstead/google/credentials.json}
{{- end }}
{{- with .Values.federation.azure.tenantId }}
- {name: AZURE_TENANT_ID, value: {{ . | quote }}}
- {name: AZURE_CLIENT_ID, value: {{ required "federation.azure.clientId is required with federation.azure.tenantId: name the application or managed identity" $.Values.federation.azure.clientId | quote }}}
- {name: AZURE_FEDERATED_TOKEN_FILE, value: /var/run/secrets/roadstead/azure/token}
{{- end }}
{{- end }}

{{- define "roadstead.federationMounts" -}}
{{- if .Values.federation.google.configMap }}
- {name: google, mountPath: /var/run/secrets/roadstead/google, readOnly: true}
{{- end }}
{{- if .Values.federation.azure.tenantId }}
- {name: azure, mountPath: /var/run/secrets/roadstead/azure, readOnly: true}
{{- end }}
{{- end }}

{{- define "roadstead.federationVolumes" -}}
{{- with .Values.federation.google.configMap }}
- name: google
  projected:
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
          audience: {{ required "federation.google.audience is required with federation.google.configMap: name the audience that the provider of the pool allows" $.Values.federation.google.audience | quote }}
      - configMap: {name: {{ . | quote }}, items: [{key: credentials.json, path: credentials.json}]}
{{- end }}
{{- if .Values.federation.azure.tenantId }}
- name: azure
  projected:
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600, audience: "api://AzureADTokenExchange"}
{{- end }}
{{- end }}
