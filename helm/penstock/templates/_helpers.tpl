{{/* Names are those that people know (`kubectl logs msg-queue-0`); global.namePrefix sets two releases of one namespace apart. */}}
{{- define "penstock.name" -}}
{{- $root := index . 0 -}}{{- printf "%s%s" $root.Values.global.namePrefix (index . 1) | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "penstock.selector" -}}
app: {{ include "penstock.name" . }}
release: {{ (index . 0).Release.Name }}
{{- end }}

{{- define "penstock.labels" -}}
{{- $root := index . 0 -}}
{{ include "penstock.selector" . }}
app.kubernetes.io/name: penstock
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.global.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "penstock.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* `true`, or nothing: whether rows are kept in a file of the pod that also answers, for want of a database. */}}
{{- define "penstock.embedded" -}}
{{- if not (or .Values.influxdb.enabled .Values.influxdb.external.url) -}}true{{- end -}}
{{- end }}

{{- define "penstock.secretName" -}}
{{ .Values.secrets.existingSecret | default (include "penstock.name" (list . "telemetry-auth-secret")) }}
{{- end }}

{{- define "penstock.influxdbUrl" -}}
{{- if .Values.influxdb.enabled -}}http://{{ include "penstock.name" (list . "influxdb") }}:8086{{- else -}}{{ .Values.influxdb.external.url }}{{- end -}}
{{- end }}

{{/* A value of `env:` as text: numbers of a values file come as floats, and 100000 would be 1e+05. */}}
{{- define "penstock.text" -}}
{{- if kindIs "float64" . -}}{{ printf "%.0f" . }}{{- else -}}{{ toString . }}{{- end -}}
{{- end }}

{{/* `queueSize: 5000` is QUEUE_SIZE=5000: each setting of a role has its place under `env:`. Arguments: the map. */}}
{{- define "penstock.env" -}}
{{- range $key, $value := . }}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}
- name: {{ $key | snakecase | upper }}
  value: {{ include "penstock.text" $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* What of a pod all roles share. Arguments: root, name, values (of the role). */}}
{{- define "penstock.pod" -}}
{{- $root := .root -}}
{{- with $root.Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
serviceAccountName: {{ include "penstock.serviceAccount" $root }}
automountServiceAccountToken: false
# Else a Service named msg-queue sets MSG_QUEUE_PORT=tcp://… and the like.
enableServiceLinks: false
{{- with $root.Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds | default 30 }}
{{- with .values.priorityClassName | default $root.Values.global.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector | default $root.Values.global.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations | default $root.Values.global.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "penstock.antiAffinity" . }}
{{- end }}

{{- define "penstock.antiAffinity" -}}
{{- $mode := .values.antiAffinity | default "none" -}}
{{- if eq $mode "required" }}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "penstock.selector" (list .root .name) | nindent 12 }}
{{- else if eq $mode "preferred" }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "penstock.selector" (list .root .name) | nindent 14 }}
{{- end }}
{{- end }}

{{- define "penstock.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}{{ .Values.serviceAccount.name | default (include "penstock.name" (list . "penstock")) }}{{- else -}}{{ .Values.serviceAccount.name | default "default" }}{{- end -}}
{{- end }}

{{- define "penstock.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/*
One role as a container. Arguments: root, role, values, port, env (YAML: what the chart itself sets), secrets (the
variables that come as files), mounts (YAML), drainSeconds (how long before SIGTERM: until nobody is sent here any more).
*/}}
{{- define "penstock.container" -}}
{{- $root := .root -}}
- name: {{ .role }}
  image: {{ include "penstock.image" $root }}
  imagePullPolicy: {{ $root.Values.global.imagePullPolicy }}
  args: [{{ .role }}]
  env:
    - name: PORT
      value: {{ .port | quote }}
    - name: DATA_DIR
      value: /data
    - name: LOG_LEVEL
      value: {{ $root.Values.global.logLevel }}
    {{- range $variable := .secrets }}
    - name: {{ $variable }}_FILE
      value: /run/secrets/penstock/{{ $variable | lower | replace "_" "-" }}
    {{- end }}
    {{- with .env }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- include "penstock.env" .values.env | nindent 4 }}
    {{- with .values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - name: {{ .portName | default "http" }}
      containerPort: {{ .port }}
  # A role answers /health before it can do its work: what takes long (a recovery) is no reason to kill it.
  startupProbe:
    httpGet: {path: /health, port: {{ .portName | default "http" }}}
    periodSeconds: 2
    timeoutSeconds: 3
    failureThreshold: 60
  livenessProbe:
    httpGet: {path: /health, port: {{ .portName | default "http" }}}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
  readinessProbe:
    httpGet: {path: /ready, port: {{ .portName | default "http" }}}
    periodSeconds: 3
    timeoutSeconds: 3
    failureThreshold: 2
  {{- with .drainSeconds }}
  # Until every node has taken this pod out of its Service: a request that comes after SIGTERM would be refused.
  lifecycle:
    preStop:
      exec:
        command: [sleep, {{ . | quote }}]
  {{- end }}
  {{- include "penstock.containerSecurity" $root | nindent 2 }}
  resources:
    {{- toYaml .values.resources | nindent 4 }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    - name: secrets
      mountPath: /run/secrets/penstock
      readOnly: true
    {{- with .mounts }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* /tmp, and the Secret as files: a key that changes there is taken without a restart. Arguments: root, secrets. */}}
{{- define "penstock.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
- name: secrets
  secret:
    secretName: {{ include "penstock.secretName" .root }}
    defaultMode: 0440
    items:
      {{- range $variable := .secrets }}
      - key: {{ $variable | lower | replace "_" "-" }}
        path: {{ $variable | lower | replace "_" "-" }}
      {{- end }}
{{- end }}

{{/* Where collector and API find the rows. */}}
{{- define "penstock.storeEnv" -}}
{{- if include "penstock.embedded" . -}}
- name: STORE
  value: embedded
{{- else -}}
- name: STORE
  value: {{ ternary "influx2" .Values.influxdb.external.engine .Values.influxdb.enabled }}
- name: INFLUXDB_URL
  value: {{ include "penstock.influxdbUrl" . }}
- name: INFLUXDB_BUCKET
  value: {{ .Values.influxdb.env.bucket | quote }}
{{- with .Values.influxdb.env.org }}
- name: INFLUXDB_ORG
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "penstock.proxyUrl" -}}
http://{{ include "penstock.name" (list . "msg-queue-proxy") }}:8080
{{- end }}

{{/* Sets InfluxDB up where nobody has, and waits until it answers. It is done here, and not by a hook: --wait would wait
for collectors that wait for the hook. */}}
{{- define "penstock.influxdbSetup" -}}
{{- if .Values.influxdb.enabled }}
initContainers:
  - name: influxdb-setup
    image: {{ include "penstock.image" . }}
    imagePullPolicy: {{ .Values.global.imagePullPolicy }}
    command: [node, /scripts/influxdb-setup.mjs]
    env:
      - name: SETUP_URL
        value: {{ include "penstock.influxdbUrl" . }}
      - name: SETUP_USER
        value: {{ .Values.influxdb.env.adminUser | quote }}
      - name: SETUP_ORG
        value: {{ .Values.influxdb.env.org | quote }}
      - name: SETUP_BUCKET
        value: {{ .Values.influxdb.env.bucket | quote }}
      - name: SETUP_RETENTION
        value: {{ .Values.influxdb.env.retentionDuration | quote }}
    {{- include "penstock.containerSecurity" . | nindent 4 }}
    resources:
      {{- toYaml .Values.jobs.resources | nindent 6 }}
    volumeMounts:
      - name: scripts
        mountPath: /scripts
        readOnly: true
      - name: setup-secrets
        mountPath: /run/secrets/setup
        readOnly: true
{{- end }}
{{- end }}

{{- define "penstock.influxdbSetupVolumes" -}}
{{- if .Values.influxdb.enabled }}
- name: scripts
  configMap:
    name: {{ include "penstock.name" (list . "penstock-scripts") }}
- name: setup-secrets
  secret:
    secretName: {{ include "penstock.secretName" . }}
    defaultMode: 0440
    items:
      - key: influxdb-token
        path: influxdb-token
      - key: influxdb-password
        path: influxdb-password
{{- end }}
{{- end }}
