/** Ingresses, network policies, Endpoints and EndpointSlices. */
import { invalidValue, notSupported, required } from "../../field-errors.ts";
import { isObject, listAt, numberAt, objectAt, setDefault, textAt } from "../../json.ts";
import type { ApiObject } from "../../object.ts";
import type { FieldError } from "../../status.ts";
import type { Strategy } from "../resource.ts";

export const endpointsStrategy: Strategy = {
  setDefaults(endpoints) {
    for (const subset of listAt(endpoints, "subsets")) {
      for (const port of listAt(subset, "ports")) if (isObject(port)) setDefault(port, "protocol", "TCP");
    }
  },
  countsGeneration: false,
  createsOnUpdate: true,
};

const addressTypes = ["FQDN", "IPv4", "IPv6"];

export const endpointSliceStrategy: Strategy = {
  setDefaults(slice) {
    for (const port of listAt(slice, "ports")) {
      if (!isObject(port)) continue;
      setDefault(port, "name", "");
      setDefault(port, "protocol", "TCP");
    }
  },
  validate(slice, old) {
    const type = textAt(slice, "addressType") ?? "";
    if (type === "") return [required("addressType")];
    if (!addressTypes.includes(type)) return [notSupported("addressType", type, addressTypes)];
    if (old !== undefined && old.addressType !== type)
      return [invalidValue("addressType", type, "field is immutable")];
    return listAt(slice, "endpoints").flatMap((endpoint, index) =>
      listAt(endpoint, "addresses").length === 0
        ? [required(`endpoints[${index}].addresses`, "must contain at least 1 address")]
        : [],
    );
  },
};

const pathTypes = ["Exact", "ImplementationSpecific", "Prefix"];

export const ingressStrategy: Strategy = {
  prepareForCreate(ingress) {
    ingress.status = { loadBalancer: {} };
  },
  prepareForUpdate(ingress, old) {
    ingress.status = old.status;
  },
  validate(ingress) {
    const spec = objectAt(ingress, "spec");
    const rules = listAt(spec, "rules");
    if (rules.length === 0 && spec.defaultBackend === undefined)
      return [invalidValue("spec", [], "either `defaultBackend` or `rules` must be specified")];
    return rules.flatMap((rule, index) =>
      listAt(rule, "http", "paths").flatMap((path, at) =>
        validateIngressPath(path, `spec.rules[${index}].http.paths[${at}]`),
      ),
    );
  },
};

function validateIngressPath(path: unknown, field: string): FieldError[] {
  const faults: FieldError[] = [];
  const type = textAt(path, "pathType");
  const text = textAt(path, "path") ?? "";
  if (type === undefined) faults.push(required(`${field}.pathType`, "pathType must be specified"));
  else if (!pathTypes.includes(type)) faults.push(notSupported(`${field}.pathType`, type, pathTypes));
  else if (type !== "ImplementationSpecific" && !text.startsWith("/"))
    faults.push(invalidValue(`${field}.path`, text, "must be an absolute path"));
  const backend = objectAt(path, "backend");
  if (backend.service === undefined && backend.resource === undefined)
    faults.push(required(`${field}.backend`, "port name or number is required"));
  if (isObject(backend.service)) {
    if ((textAt(backend.service, "name") ?? "") === "")
      faults.push(required(`${field}.backend.service.name`));
    const port = objectAt(backend.service, "port");
    if ((textAt(port, "name") ?? "") === "" && (numberAt(port, "number") ?? 0) === 0)
      faults.push(required(`${field}.backend.service`, "port name or number is required"));
  }
  return faults;
}

export const ingressClassStrategy: Strategy = {
  setDefaults(object) {
    const { parameters } = objectAt(object, "spec");
    if (isObject(parameters)) setDefault(parameters, "scope", "Cluster");
  },
};

export const networkPolicyStrategy: Strategy = {
  setDefaults(policy) {
    const spec = objectAt(policy, "spec");
    const egress = listAt(spec, "egress");
    setDefault(spec, "policyTypes", egress.length > 0 ? ["Ingress", "Egress"] : ["Ingress"]);
    for (const rule of [...egress, ...listAt(spec, "ingress")])
      for (const port of listAt(rule, "ports")) if (isObject(port)) setDefault(port, "protocol", "TCP");
  },
  prepareForCreate: dropStatus,
  prepareForUpdate: dropStatus,
};

function dropStatus(object: ApiObject): void {
  delete object.status;
}
