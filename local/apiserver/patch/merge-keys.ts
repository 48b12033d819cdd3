/**
 * Which lists of Kubernetes' own kinds merge by key, and by which: `patchStrategy=merge` and
 * `patchMergeKey` of the API's Go types. A list that is not named here is replaced as a whole.
 *
 * Looked up by the names of the list's field and of the field above it (`*` for any).
 *
 * @see https://kubernetes.io/docs/reference/generated/kubernetes-api/ ("patch strategy", "patch merge key")
 */
const keys = new Map<string, string>([
  ["spec.containers", "name"],
  ["spec.initContainers", "name"],
  ["spec.ephemeralContainers", "name"],
  ["spec.volumes", "name"],
  ["spec.imagePullSecrets", "name"],
  ["spec.hostAliases", "ip"],
  ["spec.topologySpreadConstraints", "topologyKey"],
  ["spec.resourceClaims", "name"],
  ["spec.schedulingGates", "name"],
  ["spec.ports", "port"],
  ["spec.taints", "key"],
  ["*.env", "name"],
  ["*.volumeMounts", "mountPath"],
  ["*.volumeDevices", "devicePath"],
  ["containers.ports", "containerPort"],
  ["initContainers.ports", "containerPort"],
  ["ephemeralContainers.ports", "containerPort"],
  ["metadata.ownerReferences", "uid"],
  ["status.conditions", "type"],
  ["status.addresses", "type"],
  ["status.podIPs", "ip"],
  ["status.hostIPs", "ip"],
  ["loadBalancer.ingress", "ip"],
  ["*.secrets", "name"],
  ["*.imagePullSecrets", "name"],
  ["*.webhooks", "name"],
]);

/** Lists of plain values that merge as sets. */
const sets = new Set(["metadata.finalizers", "spec.finalizers"]);

/** How the list `name` below `parent` merges: by a key, as a set, or not at all (undefined). */
export function listMerge(parent: string, name: string): { readonly key: string } | "set" | undefined {
  if (sets.has(`${parent}.${name}`)) return "set";
  const key = keys.get(`${parent}.${name}`) ?? keys.get(`*.${name}`);
  return key === undefined ? undefined : { key };
}
