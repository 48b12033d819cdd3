import { invalidValue, required, tooLong } from "../field-errors.ts";
import type { ApiObject } from "../object.ts";
import type { FieldError } from "../status.ts";

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const qualifiedName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

const labelText =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const subdomainText =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const labelValueText =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const qualifiedNameText =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/** How a kind's names must look: `label` for namespaces and services, `path` for RBAC (anything but `/` and `%`). */
export type NameForm = "label" | "subdomain" | "path";

/** Checks name, labels and annotations as every Kubernetes object's. */
export function validateMetadata(object: ApiObject, form: NameForm): FieldError[] {
  const { name, labels = {}, annotations = {} } = object.metadata;
  const faults: FieldError[] = [];
  if (name === "") faults.push(required("metadata.name", "name or generateName is required"));
  else if (form === "label") {
    const fault = labelFault("metadata.name", name);
    if (fault !== undefined) faults.push(fault);
  } else if (form === "subdomain" && (name.length > 253 || !subdomain.test(name)))
    faults.push(
      invalidValue(
        "metadata.name",
        name,
        name.length > 253 ? "must be no more than 253 characters" : subdomainText,
      ),
    );
  else if (form === "path" && (/[/%]/.test(name) || name === "." || name === ".."))
    faults.push(invalidValue("metadata.name", name, "may not contain '/' or '%'"));
  for (const [key, value] of Object.entries(labels)) {
    faults.push(...validateKey("metadata.labels", key));
    if (value.length > 63)
      faults.push(invalidValue("metadata.labels", value, "must be no more than 63 characters"));
    else if (value !== "" && !qualifiedName.test(value))
      faults.push(invalidValue("metadata.labels", value, labelValueText));
  }
  let size = 0;
  for (const [key, value] of Object.entries(annotations)) {
    faults.push(...validateKey("metadata.annotations", key.toLowerCase()));
    size += key.length + value.length;
  }
  if (size > 262_144) faults.push(tooLong("metadata.annotations", 262_144));
  return faults;
}

function validateKey(field: string, key: string): FieldError[] {
  const slash = key.indexOf("/");
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  const name = slash < 0 ? key : key.slice(slash + 1);
  if (name === "") return [invalidValue(field, key, "name part must be non-empty")];
  if (prefix !== undefined && !subdomain.test(prefix))
    return [invalidValue(field, key, `prefix part ${subdomainText}`)];
  if (name.length > 63) return [invalidValue(field, key, "name part must be no more than 63 characters")];
  return qualifiedName.test(name) ? [] : [invalidValue(field, key, qualifiedNameText)];
}

/** What is wrong with `name` as a DNS label; undefined where it is one. */
export function labelFault(field: string, name: string): FieldError | undefined {
  if (name.length > 63) return invalidValue(field, name, "must be no more than 63 characters");
  if (label.test(name)) return undefined;
  return invalidValue(field, name, subdomain.test(name) ? "must not contain dots" : labelText);
}
