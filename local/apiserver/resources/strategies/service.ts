import { duplicate, invalidValue, notSupported, required } from "../../field-errors.ts";
import {
  ensureObject,
  isObject,
  type JsonObject,
  listAt,
  numberAt,
  objectAt,
  setDefault,
  textAt,
} from "../../json.ts";
import type { ApiObject } from "../../object.ts";
import type { FieldError } from "../../status.ts";
import type { Strategy } from "../resource.ts";

const types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

/** Makes the service strategy. `used` tells the cluster IPs that are taken. */
export function serviceStrategy(used: () => ReadonlySet<string>): Strategy {
  return {
    setDefaults: setServiceDefaults,
    prepareForCreate(service) {
      service.status = { loadBalancer: {} };
      allocate(service, used());
    },
    prepareForUpdate(service, old) {
      service.status = old.status;
      const spec = ensureObject(service, "spec");
      const before = objectAt(old, "spec");
      if (spec.type === "ExternalName") return;
      for (const field of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]) {
        if (before[field] !== undefined) setDefault(spec, field, before[field]);
      }
      if (spec.clusterIP === undefined || spec.clusterIP === "") allocate(service, used());
      keepNodePorts(spec, before);
    },
    validate,
    answersDeleted: true,
    countsGeneration: false,
    createsOnUpdate: true,
  };
}

function setServiceDefaults(service: ApiObject): void {
  const spec = ensureObject(service, "spec");
  setDefault(spec, "type", "ClusterIP");
  setDefault(spec, "sessionAffinity", "None");
  if (spec.sessionAffinity === "ClientIP" && spec.sessionAffinityConfig === undefined)
    spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: 10_800 } };
  if (spec.type !== "ExternalName") setDefault(spec, "internalTrafficPolicy", "Cluster");
  if (spec.type === "NodePort" || spec.type === "LoadBalancer")
    setDefault(spec, "externalTrafficPolicy", "Cluster");
  if (spec.type === "LoadBalancer") setDefault(spec, "allocateLoadBalancerNodePorts", true);
  for (const port of listAt(spec, "ports")) {
    if (!isObject(port)) continue;
    setDefault(port, "protocol", "TCP");
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === "")
      port.targetPort = port.port;
  }
}

function allocate(service: ApiObject, used: ReadonlySet<string>): void {
  const spec = ensureObject(service, "spec");
  if (spec.type === "ExternalName") return;
  const asked = textAt(spec, "clusterIP") ?? "";
  const ip =
    asked === "" ? freeAddress(used, `${service.metadata.namespace}/${service.metadata.name}`) : asked;
  spec.clusterIP = ip;
  spec.clusterIPs = [ip];
  setDefault(spec, "ipFamilies", ["IPv4"]);
  setDefault(spec, "ipFamilyPolicy", "SingleStack");
  if (spec.type !== "NodePort" && spec.type !== "LoadBalancer") return;
  for (const port of listAt(spec, "ports"))
    if (isObject(port)) setDefault(port, "nodePort", nodePort(service, port));
}

/** A node port from Kubernetes' range, the same for the same service and port. */
function nodePort({ metadata }: ApiObject, port: JsonObject): number {
  return 30_000 + (hash(`${metadata.namespace}/${metadata.name}/${String(port.port)}`) % 2768);
}

function keepNodePorts(spec: JsonObject, before: JsonObject): void {
  if (spec.type !== "NodePort" && spec.type !== "LoadBalancer") return;
  const known = new Map(
    listAt(before, "ports").map((port) => [numberAt(port, "port"), numberAt(port, "nodePort")] as const),
  );
  for (const port of listAt(spec, "ports")) {
    const kept = known.get(numberAt(port, "port"));
    if (isObject(port) && kept !== undefined) setDefault(port, "nodePort", kept);
  }
}

function hash(text: string): number {
  let value = 0;
  for (const character of text) value = (value * 31 + character.charCodeAt(0)) % 65_000;
  return value;
}

/** The first free address of 10.96.0.0/16 from a place that depends on the name, so that it tends to come back. */
function freeAddress(used: ReadonlySet<string>, name: string): string {
  const start = hash(name);
  for (let step = 0; step < 65_000; step++) {
    const offset = ((start + step) % 65_000) + 16;
    const ip = `10.96.${offset >> 8}.${offset & 255}`;
    if (!used.has(ip)) return ip;
  }
  throw new Error("no free cluster ip is left in 10.96.0.0/16: delete services");
}

const protocols = ["SCTP", "TCP", "UDP"];

function validate(service: ApiObject, old: ApiObject | undefined): FieldError[] {
  const spec = objectAt(service, "spec");
  const faults: FieldError[] = [];
  const ports = listAt(spec, "ports");
  if (ports.length === 0 && spec.type !== "ExternalName" && spec.clusterIP !== "None")
    faults.push(required("spec.ports"));
  if (!types.includes(String(spec.type))) faults.push(notSupported("spec.type", spec.type, types));
  if (spec.type === "ExternalName" && (textAt(spec, "externalName") ?? "") === "")
    faults.push(required("spec.externalName"));
  faults.push(...validatePorts(ports));
  const before = textAt(old, "spec", "clusterIP") ?? "";
  if (before !== "" && before !== "None" && spec.type !== "ExternalName" && spec.clusterIP !== before) {
    faults.push(invalidValue("spec.clusterIPs[0]", listAt(spec, "clusterIPs"), "may not change once set"));
  }
  return faults;
}

function validatePorts(ports: readonly unknown[]): FieldError[] {
  const names = ports.map((port) => textAt(port, "name") ?? "");
  const keys = ports.map((port) => JSON.stringify([numberAt(port, "port"), textAt(port, "protocol")]));
  return ports.flatMap((port, index) => {
    const field = `spec.ports[${index}]`;
    const faults: FieldError[] = [];
    const name = names[index] ?? "";
    if (ports.length > 1 && name === "") faults.push(required(`${field}.name`));
    else if (name !== "" && names.indexOf(name) < index) faults.push(duplicate(`${field}.name`, name));
    const number = numberAt(port, "port") ?? 0;
    if (number < 1 || number > 65_535)
      faults.push(invalidValue(`${field}.port`, number, "must be between 1 and 65535, inclusive"));
    const protocol = textAt(port, "protocol") ?? "";
    if (!protocols.includes(protocol)) faults.push(notSupported(`${field}.protocol`, protocol, protocols));
    const target = isObject(port) ? port.targetPort : undefined;
    if (typeof target === "number" && (target < 1 || target > 65_535))
      faults.push(invalidValue(`${field}.targetPort`, target, "must be between 1 and 65535, inclusive"));
    if (keys.indexOf(keys[index] ?? "") < index) {
      faults.push(duplicate(field, { port: number, protocol }));
    }
    return faults;
  });
}
