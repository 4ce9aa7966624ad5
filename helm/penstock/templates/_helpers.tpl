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

{{/* http or https: how a role is spoken to. Arguments: root, role. */}}
{{- define "penstock.scheme" -}}
{{- $tls := (index . 0).Values.tls -}}
{{- if and $tls.enabled (or $tls.api (ne (index . 1) "api")) -}}https{{- else -}}http{{- end -}}
{{- end }}

{{/* The files by which a role listens, and asks others. Arguments: root, role. */}}
{{- define "penstock.tlsEnv" -}}
{{- $tls := .root.Values.tls -}}
{{- if eq (include "penstock.scheme" (list .root .role)) "https" }}
- name: TLS_CERT
  value: /run/secrets/tls/tls.crt
- name: TLS_KEY
  value: /run/secrets/tls/tls.key
{{- if and $tls.clientCertificates (ne .role "api") }}
- name: TLS_CLIENT_CA
  value: /run/secrets/tls/ca.crt
{{- end }}
{{- end }}
{{- include "penstock.tlsClientEnv" .root }}
{{- end }}

{{/* Those by which it asks. A role would show TLS_CERT by itself; the hand tools in its pod would not. */}}
{{- define "penstock.tlsClientEnv" -}}
{{- $tls := .Values.tls -}}
{{- if $tls.enabled }}
- name: TLS_CA
  value: /run/secrets/tls/ca.crt
{{- if $tls.clientCertificates }}
- name: TLS_CLIENT_CERT
  value: /run/secrets/tls/tls.crt
- name: TLS_CLIENT_KEY
  value: /run/secrets/tls/tls.key
{{- end }}
{{- end }}
{{- end }}

{{- define "penstock.tlsMount" -}}
{{- if .Values.tls.enabled }}
- name: tls
  mountPath: /run/secrets/tls
  readOnly: true
{{- end }}
{{- end }}

{{/* The whole of it, or (as of Prometheus, and without client certificates) the authority alone. Arguments: root, key (whether). */}}
{{- define "penstock.tlsVolume" -}}
{{- $tls := .root.Values.tls -}}
{{- if $tls.enabled }}
- name: tls
  secret:
    secretName: {{ $tls.secretName }}
    defaultMode: 0440
    {{- if not (or .key $tls.clientCertificates) }}
    items:
      - {key: ca.crt, path: ca.crt}
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
{{- $probed := printf "port: %s" (.portName | default "http") -}}
{{- if eq (include "penstock.scheme" (list $root .role)) "https" }}{{ $probed = printf "%s, scheme: HTTPS" $probed }}{{ end -}}
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
    {{- include "penstock.tlsEnv" . | nindent 4 }}
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
    httpGet: {path: /health, {{ $probed }}}
    periodSeconds: 2
    timeoutSeconds: 3
    failureThreshold: 60
  livenessProbe:
    httpGet: {path: /health, {{ $probed }}}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
  readinessProbe:
    httpGet: {path: /ready, {{ $probed }}}
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
    {{- include "penstock.tlsMount" $root | nindent 4 }}
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
{{- include "penstock.tlsVolume" (dict "root" .root "key" true) }}
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
{{ include "penstock.scheme" (list . "proxy") }}://{{ include "penstock.name" (list . "msg-queue-proxy") }}:8080
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
