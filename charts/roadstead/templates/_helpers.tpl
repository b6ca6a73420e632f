{{- define "roadstead.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "roadstead.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "roadstead.name" .) -}}
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

{{- define "roadstead.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "roadstead.installId" -}}
{{- required "installId is required: choose an id for this installation (lower-case letters, digits, hyphens) and keep it for ever; a rebuilt hub finds its endpoints again by it" .Values.installId -}}
{{- end }}
