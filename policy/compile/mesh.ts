/** The parts of Istio's MeshConfig that policies depend on. */
export interface MeshSettings {
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  /** Its policies are in force everywhere. */
  readonly rootNamespace: string;
}

export const defaultMesh: MeshSettings = {
  trustDomain: "cluster.local",
  trustDomainAliases: [],
  rootNamespace: "istio-system",
};
