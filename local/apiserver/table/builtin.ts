/** The columns that kubectl shows for Kubernetes' own kinds. */
import { listAt, numberAt, objectAt, textAt } from "../json.ts";
import type { ApiObject } from "../object.ts";
import { printLabelSelector } from "../selectors/labels.ts";
import { age, amount, type Column, count, field, nameColumn, since, text } from "./column.ts";
import { moreColumns, subjectColumns } from "./more.ts";
import { podColumns } from "./pods.ts";

const number =
  (...path: string[]) =>
  (object: ApiObject) =>
    numberAt(object, ...path) ?? 0;

function containers(object: ApiObject, name: "name" | "image"): string {
  return listAt(object, "spec", "template", "spec", "containers")
    .map((container) => textAt(container, name) ?? "")
    .join(",");
}

const template = [
  text("Containers", (object) => containers(object, "name"), 1),
  text("Images", (object) => containers(object, "image"), 1),
  text("Selector", (object) => printLabelSelector(objectAt(object, "spec", "selector")), 1),
];

function keys(...names: string[]) {
  return (object: ApiObject) =>
    names.reduce((sum, name) => sum + Object.keys(objectAt(object, name)).length, 0);
}

function ports(service: ApiObject): string {
  const list = listAt(service, "spec", "ports").map((port) => {
    const node = numberAt(port, "nodePort");
    return `${numberAt(port, "port") ?? 0}${node === undefined ? "" : `:${node}`}/${textAt(port, "protocol") ?? "TCP"}`;
  });
  return list.length === 0 ? "<none>" : list.join(",");
}

function first(items: readonly string[], most = 3): string {
  if (items.length === 0) return "<none>";
  return items.length <= most
    ? items.join(",")
    : `${items.slice(0, most).join(",")} + ${items.length - most} more...`;
}

function nodeStatus(node: ApiObject): string {
  const ready = listAt(node, "status", "conditions").find(
    (condition) => textAt(condition, "type") === "Ready",
  );
  const status = textAt(ready, "status") === "True" ? "Ready" : ready === undefined ? "Unknown" : "NotReady";
  return objectAt(node, "spec").unschedulable === true ? `${status},SchedulingDisabled` : status;
}

function nodeRoles({ metadata }: ApiObject): string {
  const prefix = "node-role.kubernetes.io/";
  const roles = Object.keys(metadata.labels ?? {})
    .filter((label) => label.startsWith(prefix))
    .map((label) => label.slice(prefix.length));
  return roles.length === 0 ? "<none>" : roles.toSorted().join(",");
}

function nodeAddress(type: string) {
  return (node: ApiObject) =>
    textAt(
      listAt(node, "status", "addresses").find((address) => textAt(address, "type") === type),
      "address",
    ) ?? "<none>";
}

const info = (name: string) => (node: ApiObject) => textAt(node, "status", "nodeInfo", name) ?? "<unknown>";

function involved(event: ApiObject): string {
  const kind = textAt(event, "involvedObject", "kind") ?? "";
  return `${kind.toLowerCase()}/${textAt(event, "involvedObject", "name") ?? ""}`;
}

function intOrText(object: ApiObject, name: string): string {
  return textAt(object, "spec", name) ?? String(numberAt(object, "spec", name) ?? "N/A");
}

function roleRef(object: ApiObject): string {
  return `${textAt(object, "roleRef", "kind") ?? ""}/${textAt(object, "roleRef", "name") ?? ""}`;
}

function autoscalerTargets(object: ApiObject): string {
  const current = listAt(object, "status", "currentMetrics");
  const shown = listAt(object, "spec", "metrics").map((metric, index) => {
    const wanted = numberAt(metric, "resource", "target", "averageUtilization");
    const found = numberAt(current[index], "resource", "current", "averageUtilization");
    return `${textAt(metric, "resource", "name") ?? "<unknown>"}: ${found === undefined ? "<unknown>" : `${found}%`}/${wanted === undefined ? "<auto>" : `${wanted}%`}`;
  });
  return shown.length === 0 ? "<none>" : shown.join(", ");
}

const webhooks = [nameColumn, count("Webhooks", (object) => listAt(object, "webhooks").length), age];
const createdAt: Column = {
  ...text("Created At", ({ metadata }) => metadata.creationTimestamp),
  type: "date",
};
const role = [nameColumn, createdAt];

const binding = [nameColumn, text("Role", roleRef), age, ...subjectColumns];

/** By store name. Kinds that are missing show NAME and AGE. */
export const builtinColumns = new Map<string, readonly Column[]>([
  ...moreColumns,
  ["pods", podColumns],
  ["namespaces", [nameColumn, field("Status", ["status", "phase"]), age]],
  [
    "services",
    [
      nameColumn,
      field("Type", ["spec", "type"]),
      field("Cluster-IP", ["spec", "clusterIP"], "<none>"),
      text("External-IP", (service) => textAt(service, "spec", "externalName") ?? "<none>"),
      text("Port(s)", ports),
      age,
      text(
        "Selector",
        (service) => printLabelSelector({ matchLabels: objectAt(service, "spec", "selector") }) || "<none>",
        1,
      ),
    ],
  ],
  ["configmaps", [nameColumn, amount("Data", keys("data", "binaryData")), age]],
  ["secrets", [nameColumn, field("Type", ["type"]), amount("Data", keys("data")), age]],
  [
    "events",
    [
      text("Last Seen", (event, now) =>
        since(
          textAt(event, "series", "lastObservedTime") ??
            textAt(event, "lastTimestamp") ??
            textAt(event, "eventTime") ??
            textAt(event, "firstTimestamp"),
          now,
        ),
      ),
      field("Type", ["type"]),
      field("Reason", ["reason"]),
      text("Object", involved),
      text("Subobject", (event) => textAt(event, "involvedObject", "fieldPath") ?? "", 1),
      text(
        "Source",
        (event) => textAt(event, "source", "component") ?? textAt(event, "reportingComponent") ?? "",
        1,
      ),
      text("Message", (event) => (textAt(event, "message") ?? "").trim()),
      text(
        "First Seen",
        (event, now) => since(textAt(event, "firstTimestamp") ?? textAt(event, "eventTime"), now),
        1,
      ),
      amount("Count", (event) => numberAt(event, "series", "count") ?? numberAt(event, "count") ?? 1, 1),
      { ...nameColumn, priority: 1 },
    ],
  ],
  [
    "nodes",
    [
      nameColumn,
      text("Status", nodeStatus),
      text("Roles", nodeRoles),
      age,
      text("Version", info("kubeletVersion")),
      text("Internal-IP", nodeAddress("InternalIP"), 1),
      text("External-IP", nodeAddress("ExternalIP"), 1),
      text("OS-Image", info("osImage"), 1),
      text("Kernel-Version", info("kernelVersion"), 1),
      text("Container-Runtime", info("containerRuntimeVersion"), 1),
    ],
  ],
  [
    "deployments.apps",
    [
      nameColumn,
      text(
        "Ready",
        (object) =>
          `${numberAt(object, "status", "readyReplicas") ?? 0}/${numberAt(object, "spec", "replicas") ?? 0}`,
      ),
      amount("Up-to-date", number("status", "updatedReplicas")),
      amount("Available", number("status", "availableReplicas")),
      age,
      ...template,
    ],
  ],
  [
    "replicasets.apps",
    [
      nameColumn,
      count("Desired", number("spec", "replicas")),
      count("Current", number("status", "replicas")),
      count("Ready", number("status", "readyReplicas")),
      age,
      ...template,
    ],
  ],
  [
    "daemonsets.apps",
    [
      nameColumn,
      count("Desired", number("status", "desiredNumberScheduled")),
      count("Current", number("status", "currentNumberScheduled")),
      count("Ready", number("status", "numberReady")),
      count("Up-to-date", number("status", "updatedNumberScheduled")),
      count("Available", number("status", "numberAvailable")),
      text(
        "Node Selector",
        (object) =>
          printLabelSelector({ matchLabels: objectAt(object, "spec", "template", "spec", "nodeSelector") }) ||
          "<none>",
      ),
      age,
      ...template,
    ],
  ],
  [
    "statefulsets.apps",
    [
      nameColumn,
      text(
        "Ready",
        (object) =>
          `${numberAt(object, "status", "readyReplicas") ?? 0}/${numberAt(object, "spec", "replicas") ?? 0}`,
      ),
      age,
      ...template.slice(0, 2),
    ],
  ],
  [
    "horizontalpodautoscalers.autoscaling",
    [
      nameColumn,
      text(
        "Reference",
        (object) =>
          `${textAt(object, "spec", "scaleTargetRef", "kind") ?? ""}/${textAt(object, "spec", "scaleTargetRef", "name") ?? ""}`,
      ),
      text("Targets", autoscalerTargets),
      text("MinPods", (object) => String(numberAt(object, "spec", "minReplicas") ?? "<unset>")),
      amount("MaxPods", number("spec", "maxReplicas")),
      amount("Replicas", number("status", "currentReplicas")),
      age,
    ],
  ],
  [
    "endpointslices.discovery.k8s.io",
    [
      nameColumn,
      field("AddressType", ["addressType"]),
      text("Ports", (slice) =>
        first(listAt(slice, "ports").map((port) => String(numberAt(port, "port") ?? "*"))),
      ),
      text("Endpoints", (slice) =>
        first(listAt(slice, "endpoints").flatMap((endpoint) => listAt(endpoint, "addresses").map(String))),
      ),
      age,
    ],
  ],
  ["leases.coordination.k8s.io", [nameColumn, field("Holder", ["spec", "holderIdentity"]), age]],
  [
    "customresourcedefinitions.apiextensions.k8s.io",
    [nameColumn, text("Created At", ({ metadata }) => metadata.creationTimestamp)],
  ],
  ["mutatingwebhookconfigurations.admissionregistration.k8s.io", webhooks],
  ["validatingwebhookconfigurations.admissionregistration.k8s.io", webhooks],
  ["roles.rbac.authorization.k8s.io", role],
  ["clusterroles.rbac.authorization.k8s.io", role],
  ["rolebindings.rbac.authorization.k8s.io", binding],
  ["clusterrolebindings.rbac.authorization.k8s.io", binding],
  [
    "poddisruptionbudgets.policy",
    [
      nameColumn,
      text("Min Available", (object) => intOrText(object, "minAvailable")),
      text("Max Unavailable", (object) => intOrText(object, "maxUnavailable")),
      count("Allowed Disruptions", number("status", "disruptionsAllowed")),
      age,
    ],
  ],
  [
    "ingresses.networking.k8s.io",
    [
      nameColumn,
      field("Class", ["spec", "ingressClassName"], "<none>"),
      text("Hosts", (object) =>
        first(listAt(object, "spec", "rules").map((rule) => textAt(rule, "host") ?? "*")),
      ),
      text("Address", () => ""),
      text("Ports", (object) => (listAt(object, "spec", "tls").length > 0 ? "80, 443" : "80")),
      age,
    ],
  ],
]);
