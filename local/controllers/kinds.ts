import {
  ConfigMapKind,
  type CustomResourceDefinition,
  DaemonSetKind,
  DeploymentKind,
  EndpointSliceKind,
  HorizontalPodAutoscalerKind,
  PodKind,
  ReplicaSetKind,
  SecretKind,
  ServiceAccountKind,
  ServiceKind,
} from "../../api/core.ts";
import type { Kind } from "../../api/resource.ts";
import type { Client } from "../../kube/contract.ts";

/** Built-in kinds whose objects own others or are owned. */
export const ownedKinds: readonly Kind[] = [
  PodKind,
  ServiceKind,
  ConfigMapKind,
  SecretKind,
  ServiceAccountKind,
  DeploymentKind,
  ReplicaSetKind,
  DaemonSetKind,
  EndpointSliceKind,
  HorizontalPodAutoscalerKind,
];

/** The kind that a CustomResourceDefinition serves: its stored version where that is served; undefined before it is established. */
export function customKind({ spec, status }: CustomResourceDefinition): Kind | undefined {
  const established = status?.conditions?.some(
    ({ type, status: value }) => type === "Established" && value === "True",
  );
  const served = spec.versions.filter((version) => version.served);
  const version = served.find(({ storage }) => storage) ?? served[0];
  if (!established || !version) return undefined;
  const { kind, plural } = spec.names;
  return { group: spec.group, version: version.name, kind, plural, namespaced: spec.scope === "Namespaced" };
}

interface ResourceList {
  readonly resources?: readonly {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
    readonly verbs?: readonly string[];
  }[];
}

interface GroupList {
  readonly groups?: readonly {
    readonly name: string;
    readonly preferredVersion?: { readonly version: string };
  }[];
}

/**
 * All kinds with objects in namespaces, as discovery tells them.
 *
 * @throws ApiError; a group that cannot be read makes all fail, since its objects would be forgotten
 */
export async function namespacedKinds(client: Client): Promise<readonly Kind[]> {
  const { groups = [] } = await client.request<GroupList>("GET", "/apis");
  const places = [
    { group: "", version: "v1", path: "/api/v1" },
    ...groups.flatMap(({ name, preferredVersion }) =>
      preferredVersion
        ? [
            {
              group: name,
              version: preferredVersion.version,
              path: `/apis/${name}/${preferredVersion.version}`,
            },
          ]
        : [],
    ),
  ];
  const lists = await Promise.all(
    places.map(async ({ group, version, path }) => {
      const { resources = [] } = await client.request<ResourceList>("GET", path);
      return resources
        .filter(
          ({ name, namespaced, verbs = [] }) =>
            namespaced && !name.includes("/") && verbs.includes("delete") && verbs.includes("list"),
        )
        .map(({ name, kind }) => ({ group, version, kind, plural: name, namespaced: true }));
    }),
  );
  return lists.flat();
}
