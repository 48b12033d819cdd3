import { isObject, type JsonObject, listAt, setDefault, textAt } from "../../json.ts";

/** Defaults of a pod's spec, in pods (`ofPod`) and in every template. Changes `spec` in place. */
export function setPodSpecDefaults(spec: JsonObject, ofPod = false): void {
  setDefault(spec, "restartPolicy", "Always");
  setDefault(spec, "terminationGracePeriodSeconds", 30);
  setDefault(spec, "dnsPolicy", "ClusterFirst");
  setDefault(spec, "securityContext", {});
  setDefault(spec, "schedulerName", "default-scheduler");
  // The old name and the new one always say the same; the new one wins.
  const account = textAt(spec, "serviceAccountName") ?? textAt(spec, "serviceAccount") ?? "";
  if (account !== "") {
    spec.serviceAccountName = account;
    spec.serviceAccount = account;
  }
  for (const field of ["initContainers", "containers", "ephemeralContainers"]) {
    for (const container of listAt(spec, field))
      if (isObject(container)) setContainerDefaults(container, ofPod && spec.hostNetwork === true);
  }
  for (const volume of listAt(spec, "volumes")) if (isObject(volume)) setVolumeDefaults(volume);
}

function setContainerDefaults(container: JsonObject, hostNetwork: boolean): void {
  setDefault(container, "terminationMessagePath", "/dev/termination-log");
  setDefault(container, "terminationMessagePolicy", "File");
  const image = textAt(container, "image") ?? "";
  const tag = /:([^:/@]+)$/.exec(image)?.[1];
  const pinned = image.includes("@") || (tag !== undefined && tag !== "latest");
  setDefault(container, "imagePullPolicy", pinned ? "IfNotPresent" : "Always");
  setDefault(container, "resources", {});
  for (const port of listAt(container, "ports")) {
    if (!isObject(port)) continue;
    setDefault(port, "protocol", "TCP");
    if (hostNetwork) setDefault(port, "hostPort", port.containerPort);
  }
  for (const variable of listAt(container, "env")) {
    const source = isObject(variable) ? variable.valueFrom : undefined;
    if (isObject(source)) setFieldRefDefaults(source);
  }
  for (const name of ["livenessProbe", "readinessProbe", "startupProbe"]) {
    const probe = container[name];
    if (isObject(probe)) setProbeDefaults(probe);
  }
  const { lifecycle } = container;
  if (!isObject(lifecycle)) return;
  for (const name of ["postStart", "preStop"]) {
    const handler = lifecycle[name];
    if (isObject(handler)) setHttpDefaults(handler);
  }
}

function setFieldRefDefaults(source: JsonObject): void {
  if (isObject(source.fieldRef)) setDefault(source.fieldRef, "apiVersion", "v1");
  if (isObject(source.resourceFieldRef)) setDefault(source.resourceFieldRef, "divisor", "0");
}

function setHttpDefaults(handler: JsonObject): void {
  if (!isObject(handler.httpGet)) return;
  setDefault(handler.httpGet, "path", "/");
  setDefault(handler.httpGet, "scheme", "HTTP");
}

function setProbeDefaults(probe: JsonObject): void {
  setDefault(probe, "timeoutSeconds", 1);
  setDefault(probe, "periodSeconds", 10);
  setDefault(probe, "successThreshold", 1);
  setDefault(probe, "failureThreshold", 3);
  setHttpDefaults(probe);
  if (isObject(probe.grpc)) setDefault(probe.grpc, "service", "");
}

function setVolumeDefaults(volume: JsonObject): void {
  for (const source of ["configMap", "secret", "projected", "downwardAPI"]) {
    const value = volume[source];
    if (isObject(value)) setDefault(value, "defaultMode", 420);
  }
  if (isObject(volume.hostPath)) setDefault(volume.hostPath, "type", "");
  setItemDefaults(volume.downwardAPI);
  for (const source of listAt(volume, "projected", "sources")) {
    if (!isObject(source)) continue;
    if (isObject(source.serviceAccountToken))
      setDefault(source.serviceAccountToken, "expirationSeconds", 3600);
    setItemDefaults(source.downwardAPI);
  }
  if (Object.keys(volume).every((field) => field === "name")) volume.emptyDir = {};
}

function setItemDefaults(source: unknown): void {
  for (const item of listAt(source, "items")) if (isObject(item)) setFieldRefDefaults(item);
}
