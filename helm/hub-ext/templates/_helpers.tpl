{{/* Labels of an object of a part: dict "root" $ "part" name. */}}
{{- define "hub-ext.labels" -}}
{{ include "hub-ext.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | quote }}
{{- end }}

{{/* Labels that find the pods of a part. `part-of` is what the network policies of people's pods look for. */}}
{{- define "hub-ext.selector" -}}
app.kubernetes.io/part-of: hub-ext
app.kubernetes.io/component: {{ .part }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- end }}

{{/* Name of the Secret with keys. */}}
{{- define "hub-ext.keys" -}}
{{ .Values.secrets.existing | default "hub-ext-keys" }}
{{- end }}

{{/* What every pod of ours has: fits the Pod Security level "restricted". dict "root" $ "account" bool. */}}
{{- define "hub-ext.pod" -}}
enableServiceLinks: false
automountServiceAccountToken: {{ .account }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . | quote }}
{{- end }}
{{- end }}
{{- with .root.Values.scheduling.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .root.Values.scheduling.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .root.Values.scheduling.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "hub-ext.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
imagePullPolicy: {{ .Values.images.pullPolicy }}
{{- end }}

{{/* Variables that hold where the databases are. */}}
{{- define "hub-ext.databases" -}}
{{- if .Values.postgresql.trial -}}
- name: POSTGRESQL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "hub-ext.keys" . }}, key: postgresql-password}}
- name: HUB_EXT_DATABASE_URL
  value: postgresql://hub_ext:$(POSTGRESQL_PASSWORD)@hub-ext-postgresql:5432/hub_ext
- name: HUB_EXT_HUB_DATABASE_URL
  value: postgresql://hub_ext:$(POSTGRESQL_PASSWORD)@hub-ext-postgresql:5432/jupyterhub
{{- else -}}
{{- $name := .Values.database.existingSecret | default "hub-ext-addresses" -}}
- name: HUB_EXT_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ $name }}, key: database-url}}
- name: HUB_EXT_HUB_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ $name }}, key: hub-database-url}}
{{- end }}
{{- if .Values.results.existingSecret }}
- name: HUB_EXT_RESULTS_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.results.existingSecret }}, key: results-url}}
{{- else if .Values.results.url }}
- name: HUB_EXT_RESULTS_URL
  valueFrom: {secretKeyRef: {name: hub-ext-addresses, key: results-url}}
{{- end }}
{{- end }}

{{/* Variables from the Secret with keys: dict "root" $ "keys" (dict VARIABLE entry). */}}
{{- define "hub-ext.secret-variables" -}}
{{- range $variable, $key := .keys }}
- name: {{ $variable }}
  valueFrom: {secretKeyRef: {name: {{ include "hub-ext.keys" $.root }}, key: {{ $key }}}}
{{- end }}
{{- end }}

{{/* A pod is made anew when what it reads at its start has changed. */}}
{{- define "hub-ext.checksums" -}}
checksum/settings: {{ include (print $.Template.BasePath "/settings.yaml") . | sha256sum }}
checksum/addresses: {{ include (print $.Template.BasePath "/addresses.yaml") . | sha256sum }}
{{- end }}

{{/* Waits for the databases, so that a pod which is early is not started again ever later. */}}
{{- define "hub-ext.wait" -}}
- name: wait-for-databases
  image: {{ .Values.images.hub | quote }}
  args: [python, -m, hub_ext.deployed.waiting]
  {{- include "hub-ext.container" . | nindent 2 }}
  resources: {requests: {cpu: 10m, memory: 64Mi}, limits: {memory: 256Mi}}
  env: {{- include "hub-ext.databases" . | nindent 2 }}
{{- end }}

{{/* The profiles folder as entries of a ConfigMap: path to text. */}}
{{- define "hub-ext.profiles" -}}
{{- $files := dict -}}
{{- if .Values.profiles.shipped -}}
{{- range $path, $_ := .Files.Glob "files/profiles/**.yaml" -}}
{{- $_ := set $files (trimPrefix "files/profiles/" $path) ($.Files.Get $path) -}}
{{- end -}}
{{- end -}}
{{- $name := .Values.enclave.name -}}
{{- $spec := merge (dict "system_namespace" .Release.Namespace) .Values.enclave.spec -}}
{{- $about := dict "name" $name "title" .Values.enclave.title "owner" .Values.enclave.owner -}}
{{- $enclave := dict "apiVersion" "hub-ext/v1" "kind" "Enclave" "metadata" $about "spec" $spec -}}
{{- $_ := set $files (printf "_enclaves/%s.yaml" $name) (toYaml $enclave) -}}
{{- $lock := .Values.enclave.lock -}}
{{- if not $lock -}}
{{- $serial := .Values.enclave.serial | default .Release.Revision | int -}}
{{- $of := dict "enclave" $name "serial" $serial -}}
{{- $lock = dict "apiVersion" "hub-ext/v1" "kind" "ImagesLock" "metadata" $of "images" .Values.enclave.images | toYaml -}}
{{- end -}}
{{- $_ := set $files (printf "_enclaves/%s.images.lock" $name) $lock -}}
{{- range $path, $text := .Values.profiles.files -}}
{{- $_ := set $files $path $text -}}
{{- end -}}
{{- toJson $files -}}
{{- end }}

{{/* Images that people's pods are made from. */}}
{{- define "hub-ext.people-images" -}}
{{- $images := .Values.enclave.images -}}
{{- if .Values.enclave.lock -}}
{{- $images = (fromYaml .Values.enclave.lock).images -}}
{{- end -}}
{{- $images | default dict | values | uniq | sortAlpha | toJson -}}
{{- end }}

{{/* What rules ask of the enclave, as the admission policy has it: hub_ext.catalog.policy.Enclave.params. */}}
{{- define "hub-ext.params" -}}
{{- $spec := .Values.enclave.spec -}}
{{- $largest := $spec.largest | default dict -}}
{{- $outside := list -}}
{{- range $spec.outside -}}{{- $outside = append $outside .cidr -}}{{- end -}}
{{- $data := dict
  "enclave" .Values.enclave.name
  "registries" (join "," $spec.registries)
  "maxCpu" (printf "%.0fm" (mulf (float64 ($largest.cpu | default 0)) 1000.0))
  "maxMemory" ($largest.memory | default "")
  "maxGpu" (printf "%d" (int64 ($largest.gpu | default 0)))
  "outside" (join "," $outside)
  "maxScratch" ($largest.scratch | default "10Gi") -}}
{{- dict "data" $data | toJson -}}
{{- end }}

{{- define "hub-ext.storage-condition" -}}
{{- with .Values.enclave.spec.storage_class -}}
object.spec.storageClassName == '{{ . }}'
{{- else -}}
request.operation == 'UPDATE'
{{- end -}}
{{- end }}

{{/* Claims and keys stay, if that is wanted. */}}
{{- define "hub-ext.kept" -}}
{{- if .Values.keepData }}
annotations: {helm.sh/resource-policy: keep}
{{- end }}
{{- end }}

{{/* The profiles folder as a volume. Entries of a ConfigMap have no slash in their names; paths have. */}}
{{- define "hub-ext.profiles-volume" -}}
- name: profiles
  configMap:
    name: hub-ext-profiles
    items:
    {{- range $path, $_ := include "hub-ext.profiles" . | fromJson }}
    - {key: {{ replace "/" "__" $path | quote }}, path: {{ $path | quote }}}
    {{- end }}
{{- end }}

{{/* Certificates of the operator's own authorities, and where they are seen. */}}
{{- define "hub-ext.authorities-mount" -}}
{{- if .Values.authorities.configMap -}}
- {name: authorities, mountPath: /etc/hub-ext/authorities, readOnly: true}
{{- end }}
{{- end }}

{{- define "hub-ext.authorities-volume" -}}
{{- with .Values.authorities.configMap -}}
- {name: authorities, configMap: {name: {{ . | quote }}, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- end }}
