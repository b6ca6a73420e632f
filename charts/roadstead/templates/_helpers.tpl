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

{{- define "roadstead.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "roadstead.installId" -}}
{{- required "installId is required: choose an id for this installation, for example --set installId=prod, and keep it with your backups; a rebuilt hub finds its endpoints again by it (1 to 32 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen)" .Values.installId -}}
{{- end }}
