/** Columns of kinds that fairlead itself does not run, which people list all the same. */
import { at, listAt, numberAt, objectAt, textAt } from "../json.ts";
import type { ApiObject } from "../object.ts";
import { printLabelSelector } from "../selectors/labels.ts";
import { age, type Column, count, field, nameColumn, since, text } from "./column.ts";
import { humanDuration } from "./duration.ts";

function names(template: unknown, field: "name" | "image"): string {
  return listAt(template, "spec", "containers")
    .map((container) => textAt(container, field) ?? "")
    .join(",");
}

/** Containers, images and selector of what makes pods; `path` leads to the pod template. */
function template(path: readonly string[], selector: (object: ApiObject) => string): Column[] {
  return [
    text("Containers", (object) => names(at(object, ...path), "name"), 1),
    text("Images", (object) => names(at(object, ...path), "image"), 1),
    text("Selector", selector, 1),
  ];
}

const shownSelector = (selector: unknown): string =>
  selector === undefined || selector === null ? "<none>" : printLabelSelector(selector) || "<none>";

function condition(job: ApiObject, type: string): boolean {
  return listAt(job, "status", "conditions").some(
    (item) => textAt(item, "type") === type && textAt(item, "status") === "True",
  );
}

function jobStatus(job: ApiObject): string {
  if (condition(job, "Complete")) return "Complete";
  if (condition(job, "Failed")) return "Failed";
  if (job.metadata.deletionTimestamp !== undefined) return "Terminating";
  for (const type of ["Suspended", "FailureTarget", "SuccessCriteriaMet"])
    if (condition(job, type)) return type;
  return "Running";
}

function completions(job: ApiObject): string {
  const done = numberAt(job, "status", "succeeded") ?? 0;
  const wanted = numberAt(job, "spec", "completions");
  if (wanted !== undefined) return `${done}/${wanted}`;
  const parallel = numberAt(job, "spec", "parallelism") ?? 0;
  return parallel > 1 ? `${done}/1 of ${parallel}` : `${done}/1`;
}

function duration(job: ApiObject, now: number): string {
  const started = Date.parse(textAt(job, "status", "startTime") ?? "");
  if (Number.isNaN(started)) return "";
  const ended = Date.parse(textAt(job, "status", "completionTime") ?? "");
  return humanDuration((Number.isNaN(ended) ? now : ended) - started);
}

function addresses(endpoints: ApiObject): string {
  const list = listAt(endpoints, "subsets").flatMap((subset) => {
    const ports = listAt(subset, "ports").map((port) => numberAt(port, "port") ?? 0);
    return listAt(subset, "addresses").flatMap((address) => {
      const ip = textAt(address, "ip") ?? "";
      return ports.length === 0 ? [ip] : ports.map((port) => `${ip}:${port}`);
    });
  });
  if (list.length === 0) return "<none>";
  return list.length > 3 ? `${list.slice(0, 3).join(",")} + ${list.length - 3} more...` : list.join(",");
}

const shortModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};

/** What is bound shows what it got. */
const ofVolume = (claim: ApiObject, value: string): string =>
  (textAt(claim, "spec", "volumeName") ?? "") === "" ? "" : value;

const subjects = (kind: string) => (binding: ApiObject) =>
  listAt(binding, "subjects")
    .filter((subject) => textAt(subject, "kind") === kind)
    .map((subject) =>
      kind === "ServiceAccount"
        ? `${textAt(subject, "namespace") ?? ""}/${textAt(subject, "name") ?? ""}`
        : (textAt(subject, "name") ?? ""),
    )
    .join(", ");

/** Users, groups and service accounts of a binding. */
export const subjectColumns: readonly Column[] = [
  text("Users", subjects("User"), 1),
  text("Groups", subjects("Group"), 1),
  text("ServiceAccounts", subjects("ServiceAccount"), 1),
];

/** By store name. */
export const moreColumns: readonly (readonly [string, readonly Column[]])[] = [
  [
    "jobs.batch",
    [
      nameColumn,
      text("Status", jobStatus),
      text("Completions", completions),
      text("Duration", duration),
      age,
      ...template(["spec", "template"], (job) => shownSelector(at(job, "spec", "selector"))),
    ],
  ],
  [
    "cronjobs.batch",
    [
      nameColumn,
      field("Schedule", ["spec", "schedule"]),
      field("Timezone", ["spec", "timeZone"], "<none>"),
      {
        ...text("Suspend", (cron) => (at(cron, "spec", "suspend") === true ? "True" : "False")),
        type: "boolean",
      },
      count("Active", (cron) => listAt(cron, "status", "active").length),
      text("Last Schedule", (cron, now) => {
        const last = textAt(cron, "status", "lastScheduleTime");
        return last === undefined ? "<none>" : since(last, now);
      }),
      age,
      ...template(["spec", "jobTemplate", "spec", "template"], (cron) =>
        shownSelector(at(cron, "spec", "jobTemplate", "spec", "selector")),
      ),
    ],
  ],
  [
    "replicationcontrollers",
    [
      nameColumn,
      count("Desired", (object) => numberAt(object, "spec", "replicas") ?? 0),
      count("Current", (object) => numberAt(object, "status", "replicas") ?? 0),
      count("Ready", (object) => numberAt(object, "status", "readyReplicas") ?? 0),
      age,
      ...template(["spec", "template"], (object) =>
        shownSelector({ matchLabels: objectAt(object, "spec", "selector") }),
      ),
    ],
  ],
  [
    "networkpolicies.networking.k8s.io",
    [nameColumn, text("Pod-Selector", (policy) => shownSelector(at(policy, "spec", "podSelector"))), age],
  ],
  ["endpoints", [nameColumn, text("Endpoints", addresses), age]],
  [
    "persistentvolumeclaims",
    [
      nameColumn,
      text("Status", (claim) =>
        claim.metadata.deletionTimestamp === undefined
          ? (textAt(claim, "status", "phase") ?? "")
          : "Terminating",
      ),
      field("Volume", ["spec", "volumeName"]),
      text("Capacity", (claim) => ofVolume(claim, textAt(claim, "status", "capacity", "storage") ?? "")),
      text("Access Modes", (claim) =>
        ofVolume(
          claim,
          listAt(claim, "status", "accessModes")
            .map((mode) => shortModes[String(mode)] ?? "")
            .join(","),
        ),
      ),
      field("StorageClass", ["spec", "storageClassName"]),
      field("VolumeAttributesClass", ["spec", "volumeAttributesClassName"], "<unset>"),
      age,
      field("VolumeMode", ["spec", "volumeMode"], "<unset>", 1),
    ],
  ],
];
