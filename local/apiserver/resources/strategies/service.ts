import { required } from "../../field-errors.ts";
import { ensureObject, isObject, listAt, objectAt, setDefault, textAt } from "../../json.ts";
import type { ApiObject } from "../../object.ts";
import type { FieldError } from "../../status.ts";
import type { Strategy } from "../resource.ts";

/** Makes the service strategy. `used` tells the cluster IPs that are taken. */
export function serviceStrategy(used: () => ReadonlySet<string>): Strategy {
  return {
    setDefaults(service) {
      const spec = ensureObject(service, "spec");
      setDefault(spec, "type", "ClusterIP");
      setDefault(spec, "sessionAffinity", "None");
      if (spec.type !== "ExternalName") setDefault(spec, "internalTrafficPolicy", "Cluster");
      for (const port of listAt(spec, "ports")) {
        if (!isObject(port)) continue;
        setDefault(port, "protocol", "TCP");
        setDefault(port, "targetPort", port.port);
      }
    },
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
    },
    validate,
    answersDeleted: true,
    countsGeneration: false,
  };
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
}

/** The first free address of 10.96.0.0/16 from a place that depends on the name, so that it tends to come back. */
function freeAddress(used: ReadonlySet<string>, name: string): string {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + character.charCodeAt(0)) % 65_000;
  for (let step = 0; step < 65_000; step++) {
    const offset = ((hash + step) % 65_000) + 16;
    const ip = `10.96.${offset >> 8}.${offset & 255}`;
    if (!used.has(ip)) return ip;
  }
  throw new Error("no free cluster ip is left in 10.96.0.0/16: delete services");
}

function validate(service: ApiObject, old: ApiObject | undefined): FieldError[] {
  const spec = objectAt(service, "spec");
  const faults: FieldError[] = [];
  const ports = listAt(spec, "ports");
  if (ports.length === 0 && spec.type !== "ExternalName" && spec.clusterIP !== "None")
    faults.push(required("spec.ports"));
  ports.forEach((port, index) => {
    const field = `spec.ports[${index}]`;
    if (!isObject(port)) return;
    if (ports.length > 1 && (textAt(port, "name") ?? "") === "") faults.push(required(`${field}.name`));
    const number = port.port;
    if (typeof number !== "number" || number < 1 || number > 65_535) {
      faults.push({
        type: "FieldValueInvalid",
        field: `${field}.port`,
        message: `Invalid value: ${JSON.stringify(number ?? 0)}: must be between 1 and 65535, inclusive`,
      });
    }
  });
  const before = textAt(old, "spec", "clusterIP") ?? "";
  if (before !== "" && before !== "None" && spec.type !== "ExternalName" && spec.clusterIP !== before) {
    faults.push({
      type: "FieldValueInvalid",
      field: "spec.clusterIPs[0]",
      message: `Invalid value: ${JSON.stringify(listAt(spec, "clusterIPs"))}: may not change once set`,
    });
  }
  return faults;
}
