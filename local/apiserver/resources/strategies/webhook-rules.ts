/**
 * What a webhook configuration may say.
 *
 * @see k8s.io/kubernetes/pkg/apis/admissionregistration/validation
 */
import { compileOrFail } from "../../cel/cache.ts";
import { ExpressionError } from "../../cel/environment.ts";
import { duplicate, invalidValue, notSupported, required, tooMany } from "../../field-errors.ts";
import { isObject, type JsonObject, listAt, numberAt, objectAt, textAt } from "../../json.ts";
import type { ApiObject } from "../../object.ts";
import type { FieldError } from "../../status.ts";
import { labelKeyFaults, subdomainFault } from "../names.ts";

/** Every fault of a MutatingWebhookConfiguration or ValidatingWebhookConfiguration. */
export function webhookFaults(configuration: ApiObject): FieldError[] {
  const names = new Set<string>();
  return listAt(configuration, "webhooks").flatMap((webhook, index) => {
    if (!isObject(webhook)) return [];
    const field = `webhooks[${index}]`;
    const name = textAt(webhook, "name") ?? "";
    const twice = name !== "" && names.has(name);
    names.add(name);
    return [
      ...nameFaults(name, `${field}.name`),
      ...listAt(webhook, "rules").flatMap((rule, at) => ruleFaults(rule, `${field}.rules[${at}]`)),
      ...oneOf(webhook, "failurePolicy", ["Fail", "Ignore"], field),
      ...oneOf(webhook, "matchPolicy", ["Equivalent", "Exact"], field),
      ...sideEffectFaults(webhook, field),
      ...timeoutFaults(webhook, field),
      ...oneOf(webhook, "reinvocationPolicy", ["IfNeeded", "Never"], field),
      ...clientFaults(objectAt(webhook, "clientConfig"), `${field}.clientConfig`),
      ...conditionFaults(listAt(webhook, "matchConditions"), `${field}.matchConditions`),
      ...reviewVersionFaults(listAt(webhook, "admissionReviewVersions"), `${field}.admissionReviewVersions`),
      ...(twice ? [duplicate(`${field}.name`, name)] : []),
    ];
  });
}

function nameFaults(name: string, field: string): FieldError[] {
  if (name === "") return [required(field)];
  const fault = subdomainFault(name);
  if (fault !== undefined) return [invalidValue(field, name, fault)];
  return name.split(".").length < 3
    ? [invalidValue(field, name, "should be a domain with at least three segments separated by dots")]
    : [];
}

function oneOf(webhook: JsonObject, name: string, allowed: readonly string[], field: string): FieldError[] {
  const value = textAt(webhook, name);
  return value === undefined || allowed.includes(value)
    ? []
    : [notSupported(`${field}.${name}`, value, allowed)];
}

const sideEffects = ["None", "NoneOnDryRun"];

function sideEffectFaults(webhook: JsonObject, field: string): FieldError[] {
  return textAt(webhook, "sideEffects") === undefined
    ? [required(`${field}.sideEffects`, `must specify one of ${sideEffects.join(", ")}`)]
    : oneOf(webhook, "sideEffects", sideEffects, field);
}

function timeoutFaults(webhook: JsonObject, field: string): FieldError[] {
  const seconds = numberAt(webhook, "timeoutSeconds") ?? 10;
  return seconds >= 1 && seconds <= 30
    ? []
    : [
        invalidValue(
          `${field}.timeoutSeconds`,
          seconds,
          "the timeout value must be between 1 and 30 seconds",
        ),
      ];
}

const operations = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

function ruleFaults(rule: unknown, field: string): FieldError[] {
  const asked = listAt(rule, "operations");
  const list = (name: string, what: string): FieldError[] => {
    const values = listAt(rule, name);
    if (values.length === 0) return [required(`${field}.${name}`)];
    return values.length > 1 && values.includes("*")
      ? [invalidValue(`${field}.${name}`, values, `if '*' is present, must not specify other ${what}`)]
      : [];
  };
  return [
    ...list("operations", "operations"),
    ...asked.flatMap((operation, index) =>
      operations.includes(String(operation))
        ? []
        : [notSupported(`${field}.operations[${index}]`, operation, operations)],
    ),
    ...list("apiGroups", "API groups"),
    ...list("apiVersions", "API versions"),
    ...resourceFaults(listAt(rule, "resources").map(String), `${field}.resources`),
    ...(isObject(rule) ? oneOf(rule, "scope", ["*", "Cluster", "Namespaced"], field) : []),
  ];
}

function resourceFaults(resources: readonly string[], field: string): FieldError[] {
  if (resources.length === 0) return [required(field)];
  const faults: FieldError[] = [];
  const wholeResources = new Set<string>();
  const wholeSubresources = new Set<string>();
  for (const [index, resource] of resources.entries()) {
    if (resource === "") faults.push(required(`${field}[${index}]`));
    const [name = "", sub] = resource.split("/");
    if (sub === undefined) continue;
    const present = (pattern: string) =>
      invalidValue(
        `${field}[${index}]`,
        resource,
        `if '${pattern}' is present, must not specify ${resource}`,
      );
    if (wholeResources.has(name)) faults.push(present(`${name}/*`));
    if (wholeSubresources.has(sub)) faults.push(present(`*/${sub}`));
    if (sub === "*") wholeResources.add(name);
    if (name === "*") wholeSubresources.add(sub);
  }
  if (resources.length > 1 && resources.includes("*/*"))
    faults.push(invalidValue(field, resources, "if '*/*' is present, must not specify other resources"));
  if (resources.includes("*") && resources.some((each) => each !== "*" && !each.includes("/")))
    faults.push(
      invalidValue(
        field,
        resources,
        "if '*' is present, must not specify other resources without subresources",
      ),
    );
  return faults;
}

function clientFaults({ url, service }: JsonObject, field: string): FieldError[] {
  if ((url === undefined) === (service === undefined))
    return [required(field, "exactly one of url or service is required")];
  if (typeof url === "string") return urlFaults(url, `${field}.url`);
  const at = `${field}.service`;
  const port = numberAt(service, "port") ?? 443;
  const path = textAt(service, "path") ?? "/";
  return [
    ...["name", "namespace"].flatMap((name) =>
      (textAt(service, name) ?? "") === "" ? [required(`${at}.${name}`)] : [],
    ),
    ...(port >= 1 && port <= 65_535
      ? []
      : [invalidValue(`${at}.port`, port, "port is not valid: must be between 1 and 65535, inclusive")]),
    ...pathFaults(path).map((fault) => invalidValue(`${at}.path`, path, fault)),
  ];
}

function pathFaults(path: string): string[] {
  if (path === "/" || path === "") return [];
  if (path === "//") return ["segment[0] may not be empty"];
  const segments = path.slice(1).replace(/\/$/, "").split("/");
  return [
    ...(path.startsWith("/") ? [] : ["must start with a '/'"]),
    ...segments.flatMap((segment, index) => {
      const fault = segment === "" ? " may not be empty" : subdomainFault(segment);
      if (fault === undefined) return [];
      return [segment === "" ? `segment[${index}]${fault}` : `segment[${index}]: ${fault}`];
    }),
  ];
}

function urlFaults(text: string, field: string): FieldError[] {
  const form = "; desired format: https://host[/path]";
  if (!URL.canParse(text))
    return /^\w+:/.test(text)
      ? [required(field, `url must be a valid URL: it cannot be read${form}`)]
      : [
          invalidValue(field, "", `'https' is the only allowed URL scheme${form}`),
          invalidValue(field, "", `host must be specified${form}`),
        ];
  const { protocol, host, username, hash, search } = new URL(text);
  return [
    ...(protocol === "https:"
      ? []
      : [invalidValue(field, protocol.slice(0, -1), `'https' is the only allowed URL scheme${form}`)]),
    ...(host === "" ? [invalidValue(field, "", `host must be specified${form}`)] : []),
    ...(username === ""
      ? []
      : [invalidValue(field, username, "user information is not permitted in the URL")]),
    ...(hash === "" ? [] : [invalidValue(field, hash.slice(1), "fragments are not permitted in the URL")]),
    ...(search === ""
      ? []
      : [invalidValue(field, search.slice(1), "query parameters are not permitted in the URL")]),
  ];
}

const mostConditions = 64;

function conditionFaults(conditions: readonly unknown[], field: string): FieldError[] {
  const names = new Set<string>();
  return [
    ...(conditions.length > mostConditions ? [tooMany(field, conditions.length, mostConditions)] : []),
    ...conditions.flatMap((condition, index) => {
      const at = `${field}[${index}]`;
      const name = textAt(condition, "name") ?? "";
      const twice = name !== "" && names.has(name);
      names.add(name);
      return [
        ...expressionFaults((textAt(condition, "expression") ?? "").trim(), `${at}.expression`),
        ...(name === ""
          ? [required(`${at}.name`)]
          : labelKeyFaults(name).map((fault) => invalidValue(`${at}.name`, name, fault))),
        ...(twice ? [duplicate(`${at}.name`, name)] : []),
      ];
    }),
  ];
}

function expressionFaults(expression: string, field: string): FieldError[] {
  if (expression === "") return [required(field)];
  const compiled = compileOrFail(expression);
  return compiled instanceof ExpressionError
    ? [invalidValue(field, expression, `compilation failed: ${compiled.message}`)]
    : [];
}

const reviewVersions = ["v1", "v1beta1"];

function reviewVersionFaults(versions: readonly unknown[], field: string): FieldError[] {
  const known = reviewVersions.join(", ");
  if (versions.length === 0) return [required(field, `must specify one of ${known}`)];
  const faults = versions.flatMap((version, index) =>
    versions.indexOf(version) < index
      ? [invalidValue(`${field}[${index}]`, version, "duplicate version")]
      : [],
  );
  if (!versions.some((version) => reviewVersions.includes(String(version))))
    faults.push(invalidValue(field, versions, `must include at least one of ${known}`));
  return faults;
}
