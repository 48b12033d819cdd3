/** Jobs and CronJobs. */
import { invalidValue, notSupported, required } from "../../field-errors.ts";
import { ensureObject, isObject, type JsonObject, objectAt, setDefault, textAt } from "../../json.ts";
import type { ApiObject } from "../../object.ts";
import type { Strategy } from "../resource.ts";
import { setPodSpecDefaults } from "./pod-defaults.ts";
import { validatePodSpec } from "./pod-rules.ts";

function setJobSpecDefaults(spec: JsonObject): void {
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  setDefault(spec, "parallelism", 1);
  setDefault(spec, "backoffLimit", 6);
  setDefault(spec, "completionMode", "NonIndexed");
  setDefault(spec, "suspend", false);
  setDefault(spec, "manualSelector", false);
  setDefault(spec, "podReplacementPolicy", "TerminatingOrFailed");
  setPodSpecDefaults(ensureObject(ensureObject(spec, "template"), "spec"));
}

export const jobStrategy: Strategy = {
  setDefaults(job) {
    const spec = ensureObject(job, "spec");
    setJobSpecDefaults(spec);
    setLabelsFromTemplate(job);
  },
  prepareForCreate(job) {
    job.status = {};
    const spec = ensureObject(job, "spec");
    if (spec.manualSelector !== true) generateSelector(job, spec);
    setLabelsFromTemplate(job);
  },
  prepareForUpdate(job, old) {
    job.status = old.status;
  },
  validate(job) {
    const spec = objectAt(job, "spec", "template", "spec");
    const restart = textAt(spec, "restartPolicy");
    return [
      ...validatePodSpec(spec, "spec.template.spec"),
      ...(restart === "Always"
        ? [
            {
              ...required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"'),
            },
          ]
        : []),
    ];
  },
};

/** A job without labels has those of its pods. */
function setLabelsFromTemplate(job: ApiObject): void {
  const labels = Object.entries(objectAt(job, "spec", "template", "metadata", "labels"));
  if (job.metadata.labels === undefined && labels.length > 0)
    job.metadata.labels = Object.fromEntries(labels.map(([name, value]) => [name, String(value)]));
}

/** The labels by which a job finds its pods: its uid and name, under the old and the new names. */
function generateSelector({ metadata }: ApiObject, spec: JsonObject): void {
  const { uid, name } = metadata;
  const template = ensureObject(spec, "template");
  const labels = ensureObject(ensureObject(template, "metadata"), "labels");
  labels["batch.kubernetes.io/controller-uid"] = uid;
  labels["batch.kubernetes.io/job-name"] = name;
  labels["controller-uid"] = uid;
  labels["job-name"] = name;
  const selector = ensureObject(spec, "selector");
  ensureObject(selector, "matchLabels")["batch.kubernetes.io/controller-uid"] = uid;
}

const concurrencyPolicies = ["Allow", "Forbid", "Replace"];

export const cronJobStrategy: Strategy = {
  setDefaults(cron) {
    const spec = ensureObject(cron, "spec");
    if (spec.concurrencyPolicy === undefined || spec.concurrencyPolicy === "")
      spec.concurrencyPolicy = "Allow";
    setDefault(spec, "suspend", false);
    setDefault(spec, "successfulJobsHistoryLimit", 3);
    setDefault(spec, "failedJobsHistoryLimit", 1);
    const template = ensureObject(spec, "jobTemplate");
    if (isObject(template))
      setPodSpecDefaults(ensureObject(ensureObject(ensureObject(template, "spec"), "template"), "spec"));
  },
  prepareForCreate(cron) {
    cron.status = {};
  },
  prepareForUpdate(cron, old) {
    cron.status = old.status;
  },
  validate(cron) {
    const spec = objectAt(cron, "spec");
    const schedule = textAt(spec, "schedule") ?? "";
    return [
      ...(schedule === "" ? [required("spec.schedule")] : []),
      ...(schedule !== "" && !/^(@\w+|\S+ +\S+ +\S+ +\S+ +\S+)( .*)?$/.test(schedule)
        ? [
            invalidValue(
              "spec.schedule",
              schedule,
              `expected exactly 5 fields, found ${schedule.split(/ +/).length}: [${schedule}]`,
            ),
          ]
        : []),
      ...(concurrencyPolicies.includes(String(spec.concurrencyPolicy))
        ? []
        : [notSupported("spec.concurrencyPolicy", spec.concurrencyPolicy, concurrencyPolicies)]),
    ];
  },
};
