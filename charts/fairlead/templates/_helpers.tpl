{{- define "fairlead.labels" -}}
app.kubernetes.io/name: fairlead
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* The program knows one home: its secrets, its lease and its mesh-wide policies are there. */}}
{{- define "fairlead.namespace" -}}
{{- if ne .Release.Namespace "istio-system" }}{{ fail "install fairlead into the namespace istio-system: --namespace istio-system" }}{{ end -}}
istio-system
{{- end }}

{{- define "fairlead.image" -}}
{{- with .Values.global.imageRegistry }}{{ . }}/{{ end }}{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "fairlead.mesh-address" -}}
{{ .Values.mesh.address | default (printf "fairlead.%s.svc:15012" (include "fairlead.namespace" .)) }}
{{- end }}

{{- /* One part's Deployment and its PodDisruptionBudget. Takes a dict: root, part, replicas, args, ports, readiness, resources,
and optionally volumes, mounts, strategy. */}}
{{- define "fairlead.deployment" -}}
{{- $namespace := include "fairlead.namespace" .root -}}
{{- $name := printf "fairlead-%s" .part -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ $namespace }}
  labels:
    {{- include "fairlead.labels" .root | nindent 4 }}
spec:
  replicas: {{ .replicas }}
  {{- with .strategy }}
  strategy:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  selector:
    matchLabels: { app: {{ $name }}, app.kubernetes.io/instance: {{ .root.Release.Name }} }
  template:
    metadata:
      labels:
        app: {{ $name }}
        {{- include "fairlead.labels" .root | nindent 8 }}
        sidecar.istio.io/inject: "false"
        {{- with .root.Values.podLabels }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- with .root.Values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ .root.Values.serviceAccount.name }}-{{ .part }}
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 1337
        runAsGroup: 1337
        fsGroup: 1337
        seccompProfile: { type: RuntimeDefault }
      {{- with .root.Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with .root.Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .root.Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      affinity:
        {{- if .root.Values.affinity }}
        {{- toYaml .root.Values.affinity | nindent 8 }}
        {{- else }}
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              podAffinityTerm:
                topologyKey: kubernetes.io/hostname
                labelSelector: { matchLabels: { app: {{ $name }} } }
        {{- end }}
      {{- with .root.Values.topologySpreadConstraints }}
      topologySpreadConstraints:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: fairlead
          image: {{ include "fairlead.image" .root }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: {{ toJson .args }}
          {{- with .root.Values.extraEnv }}
          env:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            {{- toYaml .ports | nindent 12 }}
          readinessProbe:
            {{- toYaml .readiness | nindent 12 }}
          resources:
            {{- toYaml .resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: { drop: [ALL] }
          volumeMounts:
            # Node's compile cache.
            - { name: tmp, mountPath: /tmp }
            {{- with .mounts }}{{ toYaml . | nindent 12 }}{{ end }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- with .volumes }}{{ toYaml . | nindent 8 }}{{ end }}
{{- if and .root.Values.podDisruptionBudget.enabled (gt (int .replicas) 1) }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  namespace: {{ $namespace }}
  labels:
    {{- include "fairlead.labels" .root | nindent 4 }}
spec:
  minAvailable: {{ .root.Values.podDisruptionBudget.minAvailable }}
  selector:
    matchLabels: { app: {{ $name }}, app.kubernetes.io/instance: {{ .root.Release.Name }} }
{{- end }}
{{- end }}

{{- /* What a part may do. Takes a dict: root, part, and the YAML of its cluster's and of its namespace's rules. */}}
{{- define "fairlead.rbac" -}}
{{- $namespace := include "fairlead.namespace" .root -}}
{{- $name := printf "fairlead-%s" .part -}}
{{- $subject := dict "kind" "ServiceAccount" "name" (printf "%s-%s" .root.Values.serviceAccount.name .part) "namespace" $namespace -}}
{{- $labels := include "fairlead.labels" .root -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
rules:
  {{- .cluster | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ $name }} }
subjects:
  - {{ toJson $subject }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ $namespace }}
  labels:
    {{- $labels | nindent 4 }}
rules:
  {{- .home | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ $namespace }}
  labels:
    {{- $labels | nindent 4 }}
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $name }} }
subjects:
  - {{ toJson $subject }}
{{- end }}
