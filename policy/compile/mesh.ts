import type { PathNormalization } from "../path/normalize.ts";

/** The parts of Istio's MeshConfig that policies depend on. */
export interface MeshSettings {
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  /** Its policies are in force everywhere. */
  readonly rootNamespace: string;
  readonly pathNormalization: PathNormalization;
  /** MeshConfig's `extensionProviders`, as they stand there. */
  readonly extensionProviders: readonly unknown[];
  /** Whether one workload may have CUSTOM policies of several providers. */
  readonly severalAuthorizers: boolean;
  /** Whether the mesh knows a host's port; by default all are thought to be there. */
  readonly isKnownService?: (host: string, port: number) => boolean;
}

export const defaultMesh: MeshSettings = {
  trustDomain: "cluster.local",
  trustDomainAliases: [],
  rootNamespace: "istio-system",
  pathNormalization: "BASE",
  extensionProviders: [],
  severalAuthorizers: false,
};
