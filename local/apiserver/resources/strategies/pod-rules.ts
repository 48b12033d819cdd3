import { duplicate, invalidValue, notFoundValue, notSupported, required } from "../../field-errors.ts";
import { listAt, numberAt, objectAt, textAt } from "../../json.ts";
import { quantityNanos } from "../../kinds/quantity.ts";
import type { FieldError } from "../../status.ts";
import { labelFault } from "../names.ts";

const policies = {
  restartPolicy: ["Always", "OnFailure", "Never"],
  imagePullPolicy: ["Always", "IfNotPresent", "Never"],
};

/** Faults of a pod's spec, in pods and in every template. `path` is where the spec stands. */
export function validatePodSpec(spec: unknown, path: string): FieldError[] {
  const volumes = listAt(spec, "volumes").map((volume) => textAt(volume, "name") ?? "");
  const containers = listAt(spec, "containers");
  const restart = textAt(spec, "restartPolicy");
  return [
    ...validateNames(volumes, `${path}.volumes`),
    ...(containers.length === 0 ? [required(`${path}.containers`)] : []),
    ...validateContainers(containers, `${path}.containers`, volumes),
    ...validateContainers(listAt(spec, "initContainers"), `${path}.initContainers`, volumes),
    ...(restart === undefined || policies.restartPolicy.includes(restart)
      ? []
      : [notSupported(`${path}.restartPolicy`, restart, policies.restartPolicy)]),
  ];
}

function validateNames(names: readonly string[], path: string): FieldError[] {
  return names.flatMap((name, index) => {
    const field = `${path}[${index}].name`;
    if (name === "") return [required(field)];
    const fault = labelFault(field, name);
    if (fault !== undefined) return [fault];
    return names.indexOf(name) < index ? [duplicate(field, name)] : [];
  });
}

function validateContainers(
  containers: readonly unknown[],
  path: string,
  volumes: readonly string[],
): FieldError[] {
  const names = containers.map((container) => textAt(container, "name") ?? "");
  return containers.flatMap((container, index) => {
    const at = `${path}[${index}]`;
    const faults: FieldError[] = [];
    const name = names[index] ?? "";
    if (name === "") faults.push(required(`${at}.name`));
    else {
      const fault = labelFault(`${at}.name`, name);
      if (fault !== undefined) faults.push(fault);
      else if (names.indexOf(name) < index) faults.push(duplicate(`${at}.name`, name));
    }
    if ((textAt(container, "image") ?? "") === "") faults.push(required(`${at}.image`));
    faults.push(
      ...validatePorts(container, at),
      ...validateEnv(container, at),
      ...validateMounts(container, at, volumes),
      ...validatePullPolicy(container, at),
      ...validateResources(container, at),
    );
    return faults;
  });
}

function validatePorts(container: unknown, at: string): FieldError[] {
  return listAt(container, "ports").flatMap((port, index) => {
    const number = numberAt(port, "containerPort") ?? 0;
    const field = `${at}.ports[${index}].containerPort`;
    if (number === 0) return [required(field)];
    return number < 1 || number > 65_535
      ? [invalidValue(field, number, "must be between 1 and 65535, inclusive")]
      : [];
  });
}

function validateEnv(container: unknown, at: string): FieldError[] {
  return listAt(container, "env").flatMap((variable, index) => {
    const field = `${at}.env[${index}]`;
    if ((textAt(variable, "name") ?? "") === "") return [required(`${field}.name`)];
    const value = textAt(variable, "value") ?? "";
    const source = objectAt(variable, "valueFrom");
    return value !== "" && Object.keys(source).length > 0
      ? [invalidValue(`${field}.valueFrom`, "", "may not be specified when `value` is not empty")]
      : [];
  });
}

function validateMounts(container: unknown, at: string, volumes: readonly string[]): FieldError[] {
  return listAt(container, "volumeMounts").flatMap((mount, index) => {
    const field = `${at}.volumeMounts[${index}]`;
    const name = textAt(mount, "name") ?? "";
    const faults: FieldError[] = [];
    if (name === "") faults.push(required(`${field}.name`));
    else if (!volumes.includes(name)) faults.push(notFoundValue(`${field}.name`, name));
    if ((textAt(mount, "mountPath") ?? "") === "") faults.push(required(`${field}.mountPath`));
    return faults;
  });
}

function validatePullPolicy(container: unknown, at: string): FieldError[] {
  const policy = textAt(container, "imagePullPolicy");
  return policy === undefined || policies.imagePullPolicy.includes(policy)
    ? []
    : [notSupported(`${at}.imagePullPolicy`, policy, policies.imagePullPolicy)];
}

function validateResources(container: unknown, at: string): FieldError[] {
  const limits = objectAt(container, "resources", "limits");
  return Object.entries(objectAt(container, "resources", "requests")).flatMap(([name, request]) => {
    const limit = limits[name];
    if (limit === undefined) return [];
    const [asked, most] = [quantityNanos(String(request)), quantityNanos(String(limit as string | number))];
    return asked !== undefined && most !== undefined && asked > most
      ? [
          invalidValue(
            `${at}.resources.requests`,
            String(request),
            `must be less than or equal to ${name} limit of ${String(limit as string | number)}`,
          ),
        ]
      : [];
  });
}
