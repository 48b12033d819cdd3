import { randomInt } from "node:crypto";
import { type Pod, type ReplicaSet, ReplicaSetKind } from "../../../api/core.ts";
import { controllerReference } from "../pod-facts.ts";

/** Without vowels and look-alikes, so that no word comes out; as Kubernetes' own. */
const alphabet = "bcdfghjklmnpqrstvwxz2456789";

/** A pod from the ReplicaSet's template, under a name of its own. */
export function podOf(replicaSet: ReplicaSet): Pod {
  const { name, namespace } = replicaSet.metadata;
  const template = replicaSet.spec?.template;
  const { labels = {}, annotations = {}, finalizers } = template?.metadata ?? {};
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${name.slice(0, 57)}-${randomSuffix()}`,
      generateName: `${name.slice(0, 57)}-`,
      ...(namespace === undefined ? {} : { namespace }),
      labels,
      annotations,
      ...(finalizers === undefined ? {} : { finalizers }),
      ownerReferences: [controllerReference(replicaSet, ReplicaSetKind)],
    },
    ...(template?.spec === undefined ? {} : { spec: template.spec }),
  };
}

function randomSuffix(): string {
  return Array.from({ length: 5 }, () => alphabet[randomInt(alphabet.length)]).join("");
}
