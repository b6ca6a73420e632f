{{- define "gateway.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "gateway.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "gateway.name" .) -}}
{{- else -}}
{{- required "serviceAccount.name is required when serviceAccount.create is false: name a service account that exists" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "gateway.selector" -}}
app.kubernetes.io/name: roadstead-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gateway.labels" -}}
{{ include "gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "gateway.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* The same for both containers, beside the pod's. */}}
{{- define "gateway.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Identities of a pod in another cluster than the cloud's: a token of its service account for each, and what a cloud's client reads. */}}
{{- define "gateway.federationEnv" -}}
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

{{- define "gateway.federationMounts" -}}
{{- if .Values.federation.google.configMap }}
- {name: google, mountPath: /var/run/secrets/roadstead/google, readOnly: true}
{{- end }}
{{- if .Values.federation.azure.tenantId }}
- {name: azure, mountPath: /var/run/secrets/roadstead/azure, readOnly: true}
{{- end }}
{{- end }}

{{- define "gateway.federationVolumes" -}}
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
