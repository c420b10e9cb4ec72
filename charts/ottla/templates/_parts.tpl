{{/* Names, labels and rights that several templates share. */}}

{{/* The name of everything here: the release's, with the chart's unless it is in there already. */}}
{{- define "ottla.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Cluster-wide objects carry the namespace too, so that two releases never share one. */}}
{{- define "ottla.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "ottla.name" .) -}}
{{- end -}}

{{- define "ottla.selector" -}}
app.kubernetes.io/name: ottla
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ottla.labels" -}}
{{ include "ottla.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* The watched namespaces as a list under "names"; empty for all. */}}
{{- define "ottla.namespaces" -}}
{{- $names := list -}}
{{- if not .Values.watch.all -}}
{{- $names = .Values.watch.namespaces | default (list .Release.Namespace) -}}
{{- end -}}
{{- dict "names" $names | toJson -}}
{{- end -}}

{{- define "ottla.image" -}}
{{- $image := .Values.image -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) -}}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* What the operator does in a namespace that it watches, and nothing else. */}}
{{- define "ottla.rules" -}}
- apiGroups: [ottla.dev]
  resources: [kafkaclusters]
  verbs: [get, list, watch]
- apiGroups: [ottla.dev]
  resources: [kafkaclusters/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [""]
  resources: [serviceaccounts, services]
  verbs: [get, list, watch, create, patch]
# Of brokers that left: their StatefulSets, certificates and, where the spec says so, claims go.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
