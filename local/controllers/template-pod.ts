import { randomInt } from "node:crypto";
import type { Pod, PodTemplateSpec } from "../../api/core.ts";
import type { Kind, KubeObject } from "../../api/resource.ts";
import { controllerReference } from "./pod-facts.ts";

/** Without vowels and look-alikes, so that no word comes out; as Kubernetes' own. */
const alphabet = "bcdfghjklmnpqrstvwxz2456789";

/** Longest prefix of a generated name, so that the whole is a DNS label. */
const prefixLength = 57;

/** A pod from the template of its owner, under a name that starts with the owner's. */
export function podOfTemplate<T extends KubeObject>(
  owner: T,
  kind: Kind<T>,
  template: PodTemplateSpec | undefined,
): Pod {
  const { namespace } = owner.metadata;
  const prefix = `${owner.metadata.name.slice(0, prefixLength)}-`;
  const { labels = {}, annotations = {}, finalizers } = template?.metadata ?? {};
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${prefix}${randomSuffix()}`,
      generateName: prefix,
      ...(namespace === undefined ? {} : { namespace }),
      labels,
      annotations,
      ...(finalizers === undefined ? {} : { finalizers }),
      ownerReferences: [controllerReference(owner, kind)],
    },
    ...(template?.spec === undefined ? {} : { spec: template.spec }),
  };
}

function randomSuffix(): string {
  return Array.from({ length: 5 }, () => alphabet[randomInt(alphabet.length)]).join("");
}
