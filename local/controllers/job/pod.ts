import { type Job, JobKind, type Pod } from "../../../api/core.ts";
import { podOfTemplate } from "../template-pod.ts";
import { indexAnnotation } from "./indexes.ts";
import { trackingFinalizer } from "./plan.ts";

/** A pod of a Job; one with an index knows it by annotation, label, hostname and `JOB_COMPLETION_INDEX`. */
export function podOfJob(job: Job, index: number | undefined): Pod {
  const pod = podOfTemplate(job, JobKind, job.spec?.template);
  const tracked = { ...pod.metadata, finalizers: [...(pod.metadata.finalizers ?? []), trackingFinalizer] };
  if (index === undefined || !pod.spec) return { ...pod, metadata: tracked };
  const { initContainers, containers, ...spec } = pod.spec;
  const fieldPath = `metadata.annotations['${indexAnnotation}']`;
  const variable = { name: "JOB_COMPLETION_INDEX", valueFrom: { fieldRef: { fieldPath } } };
  const withIndex = (list: typeof containers) =>
    list.map((container) => ({ ...container, env: [...(container.env ?? []), variable] }));
  const { name } = job.metadata;
  return {
    ...pod,
    metadata: {
      ...tracked,
      name: pod.metadata.name.replace(/-([^-]+)$/, `-${index}-$1`),
      generateName: `${name}-${index}-`,
      annotations: { ...pod.metadata.annotations, [indexAnnotation]: String(index) },
      labels: { ...pod.metadata.labels, [indexAnnotation]: String(index) },
    },
    spec: {
      ...spec,
      hostname: `${name}-${index}`,
      ...(initContainers === undefined ? {} : { initContainers: withIndex(initContainers) }),
      containers: withIndex(containers),
    },
  };
}
