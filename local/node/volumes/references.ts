import type { Pod } from "../../../api/core.ts";
import { containersOf } from "../container.ts";

/** The ConfigMaps, Secrets and claims that a pod reads, as `KIND/name`: a change of one touches the pod. */
export function referencesOf(pod: Pod): ReadonlySet<string> {
  const found = new Set<string>();
  const add = (kind: "ConfigMap" | "Secret" | "PersistentVolumeClaim", name: string | undefined) => {
    if (name) found.add(`${kind}/${name}`);
  };
  for (const { configMap, secret, projected, persistentVolumeClaim } of pod.spec?.volumes ?? []) {
    add("ConfigMap", configMap?.name);
    add("Secret", secret?.secretName);
    add("PersistentVolumeClaim", persistentVolumeClaim?.claimName);
    for (const source of projected?.sources ?? []) {
      add("ConfigMap", source.configMap?.name);
      add("Secret", source.secret?.name);
    }
  }
  for (const { container } of pod.spec ? containersOf(pod.spec) : []) {
    for (const { configMapRef, secretRef } of container.envFrom ?? []) {
      add("ConfigMap", configMapRef?.name);
      add("Secret", secretRef?.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      add("ConfigMap", valueFrom?.configMapKeyRef?.name);
      add("Secret", valueFrom?.secretKeyRef?.name);
    }
  }
  return found;
}
