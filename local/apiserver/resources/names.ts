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

/** Checks name, labels, annotations and finalizers as every Kubernetes object's; of a custom resource any finalizer may be. */
export function validateMetadata(object: ApiObject, form: NameForm, custom: boolean): FieldError[] {
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
    const fault = labelValueFault(value);
    if (fault !== undefined) faults.push(invalidValue("metadata.labels", value, fault));
  }
  let size = 0;
  for (const [key, value] of Object.entries(annotations)) {
    faults.push(...validateKey("metadata.annotations", key.toLowerCase()));
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (size > 262_144) faults.push(tooLong("metadata.annotations", 262_144));
  faults.push(...validateOwners(object));
  object.metadata.finalizers?.forEach((finalizer, index) => {
    faults.push(...validateFinalizer(finalizer, `metadata.finalizers[${index}]`, custom));
  });
  return faults;
}

const ownerFields = ["apiVersion", "kind", "name", "uid"] as const;

function validateOwners({ metadata }: ApiObject): FieldError[] {
  const owners = metadata.ownerReferences ?? [];
  const faults = owners.flatMap((owner) =>
    ownerFields
      .filter((field) => (owner[field] ?? "") === "")
      .map((field) =>
        invalidValue(
          `metadata.ownerReferences.${field}`,
          owner[field] ?? "",
          field === "apiVersion" ? "version must not be empty" : "must not be empty",
        ),
      ),
  );
  const [first, second] = owners.filter(({ controller }) => controller === true);
  if (first !== undefined && second !== undefined) {
    faults.push(
      invalidValue(
        "metadata.ownerReferences",
        owners,
        `Only one reference can have Controller set to true. Found "true" in references for ${first.kind}/${first.name} and ${second.kind}/${second.name}`,
      ),
    );
  }
  return faults;
}

const standardFinalizers = new Set(["kubernetes", "orphan", "foregroundDeletion"]);

function validateFinalizer(finalizer: string, field: string, custom: boolean): FieldError[] {
  const faults = labelKeyFaults(finalizer).map((fault) => invalidValue(field, finalizer, fault));
  // Kubernetes only warns of a custom resource's.
  if (custom || faults.length > 0 || finalizer.includes("/") || standardFinalizers.has(finalizer))
    return faults;
  return [
    invalidValue(field, finalizer, "name is neither a standard finalizer name nor is it fully qualified"),
  ];
}

function validateKey(field: string, key: string): FieldError[] {
  return labelKeyFaults(key).map((fault) => invalidValue(field, key, fault));
}

/** Why `value` cannot be a label's; undefined where it can. */
export function labelValueFault(value: string): string | undefined {
  if (value.length > 63) return "must be no more than 63 bytes";
  return value === "" || qualifiedName.test(value) ? undefined : labelValueText;
}

/** Why `key` cannot be a label's (a qualified name); empty where it can. */
export function labelKeyFaults(key: string): string[] {
  const slash = key.indexOf("/");
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  const name = slash < 0 ? key : key.slice(slash + 1);
  const faults: string[] = [];
  if (prefix === "") faults.push("prefix part must be non-empty");
  else if (prefix !== undefined && !subdomain.test(prefix)) faults.push(`prefix part ${subdomainText}`);
  if (name === "") faults.push("name part must be non-empty");
  else if (name.length > 63) faults.push("name part must be no more than 63 bytes");
  if (!qualifiedName.test(name)) faults.push(qualifiedNameText);
  return faults;
}

/** Why `name` is no DNS subdomain; undefined where it is one. */
export function subdomainFault(name: string): string | undefined {
  if (name.length > 253) return "must be no more than 253 bytes";
  return subdomain.test(name) ? undefined : subdomainText;
}

/** What is wrong with `name` as a DNS label; undefined where it is one. */
export function labelFault(field: string, name: string): FieldError | undefined {
  if (name.length > 63) return invalidValue(field, name, "must be no more than 63 bytes");
  if (label.test(name)) return undefined;
  return invalidValue(field, name, subdomain.test(name) ? "must not contain dots" : labelText);
}
