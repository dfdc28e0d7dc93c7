{{/* What all templates share. files/ has copies of manifests/, which are compared with them (tests/manifests/helm). */}}

{{/* Labels of every object. */}}
{{- define "callgate.labels" -}}
app.kubernetes.io/name: callgate
app.kubernetes.io/part-of: callgate
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The field `annotations` of an object, if it has any: (list ROOT ANNOTATIONS...). */}}
{{- define "callgate.annotations" -}}
{{- $all := dict }}
{{- range rest . }}{{- $all = merge $all (. | default dict) }}{{- end }}
{{- $all = merge $all (first .).Values.commonAnnotations }}
{{- with $all }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* By which pods of a component are selected: "webhook" or "agent". */}}
{{- define "callgate.selector" -}}
app.kubernetes.io/name: callgate
app.kubernetes.io/component: {{ . }}
{{- end }}

{{- define "callgate.image" -}}
{{- with .Values.global.imageRegistry }}{{ trimSuffix "/" . }}/{{ end }}
{{- .Values.image.repository }}
{{- with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* What follows the name of each container. */}}
{{- define "callgate.container" -}}
image: {{ include "callgate.image" . }}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
command: [/bin/callgate]
{{- end }}

{{- define "callgate.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ kindIs "string" . | ternary . (get (kindIs "map" . | ternary . dict) "name") }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Whether the certificate comes from files of a Secret; otherwise callgate makes it itself. */}}
{{- define "callgate.hasFiles" -}}
{{- if or .Values.certManager.enabled .Values.tlsSecret.enabled }}true{{ end }}
{{- end }}

{{/* The text of a file in files/, in the namespaces of this release: (list ROOT FILE). */}}
{{- define "callgate.text" -}}
{{- $root := first . }}
{{- $text := $root.Files.Get (printf "files/%s" (last .)) | replace "callgate-system" $root.Release.Namespace }}
{{- $agents := printf "${1}%s" $root.Values.agent.namespace.name }}
{{- regexReplaceAll "(namespace: |matchNames: \\[|serviceaccount:)callgate-agent\\b" $text $agents }}
{{- end }}

{{/* An object of such a file, with our labels and annotations: (list ROOT OBJECT LABELS ANNOTATIONS). */}}
{{- define "callgate.object" -}}
{{- $root := index . 0 }}
{{- $object := index . 1 }}
{{- $metadata := $object.metadata }}
{{- $labels := merge dict (index . 2) (include "callgate.labels" $root | fromYaml) ($metadata.labels | default dict) }}
{{- $annotations := merge dict (index . 3) $root.Values.commonAnnotations ($metadata.annotations | default dict) }}
{{- $_ := set $metadata "labels" $labels }}
{{- if $annotations }}{{- $_ := set $metadata "annotations" $annotations }}{{- end }}
---
{{ toYaml $object }}
{{ end }}

{{/* All objects of such a file: (list ROOT FILE LABELS ANNOTATIONS). */}}
{{- define "callgate.objects" -}}
{{- $root := index . 0 }}
{{- $more := dict "labels" (index . 2) "annotations" (index . 3) }}
{{- range regexSplit "(?m)^---$" (include "callgate.text" (list $root (index . 1))) -1 }}
{{- with fromYaml . }}
{{- include "callgate.object" (list $root . $more.labels $more.annotations) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where pods run, by the values of their component. */}}
{{- define "callgate.scheduling" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
{{- with index $ $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
