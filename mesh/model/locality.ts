import type { LocalityBalance } from "./destination-policy.ts";

/** Where something runs; "" where a part is not known. */
export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

const regionLabel = "topology.kubernetes.io/region";
const zoneLabel = "topology.kubernetes.io/zone";
const subzoneLabel = "topology.istio.io/subzone";

/**
 * A pod's locality: label `istio-locality` (`region.zone.subzone`, or with slashes), else the topology labels that
 * Kubernetes (since 1.35) copies from its node.
 */
export function localityOfLabels(labels: Readonly<Record<string, string>>): Locality | undefined {
  const own = labels["istio-locality"];
  if (own) {
    const [region = "", zone = "", subzone = ""] = own.split(own.includes("/") ? "/" : ".");
    return { region, zone, subzone };
  }
  const { [regionLabel]: region = "", [zoneLabel]: zone = "", [subzoneLabel]: subzone = "" } = labels;
  return region === "" && zone === "" ? undefined : { region, zone, subzone };
}

/** e.g. `eu/eu-1/rack-4`; empty parts at the end are left out. */
export function localityText({ region, zone, subzone }: Locality): string {
  return `${region}/${zone}/${subzone}`.replace(/\/+$/, "");
}

/** Whether a locality is one that `pattern` (`eu`, `eu/eu-1`, `eu/*`, `*`) names. */
export function isLocality(locality: Locality, pattern: string): boolean {
  const own = [locality.region, locality.zone, locality.subzone];
  return pattern.split("/").every((part, index) => part === "*" || part === "" || part === own[index]);
}

/** Who asks: where it runs, and its labels as far as policies ask for them. */
export interface Located {
  readonly locality?: Locality | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** Endpoints that are alike to the caller: 0 is asked first, the next where those are gone or ejected. */
export interface LocalityGroup<Endpoint> {
  readonly locality: Locality | undefined;
  readonly priority: number;
  /** Share beside the other groups of its priority; undefined: by the number of endpoints. */
  readonly weight: number | undefined;
  readonly endpoints: readonly Endpoint[];
}

/**
 * Endpoints in the order in which a caller asks them, by Istio's rules: shares (`distribute`) where the caller's
 * locality is named in them, else, where unhealthy endpoints are ejected, the nearer before the farther.
 *
 * @param ejects whether unhealthy endpoints are ejected: without that, those farther away would never be asked
 */
export function balanceLocalities<Endpoint extends Located>(
  endpoints: readonly Endpoint[],
  caller: Located,
  balance: LocalityBalance | undefined,
  ejects: boolean,
): LocalityGroup<Endpoint>[] {
  const together = [{ locality: undefined, priority: 0, weight: undefined, endpoints }];
  const { locality } = caller;
  if (balance?.enabled === false) return together;
  if (balance !== undefined && balance.distribute.length > 0)
    return locality === undefined ? together : (distributed(endpoints, locality, balance) ?? together);
  const byLabels = balance?.failoverPriority ?? [];
  if (!ejects || (locality === undefined && byLabels.length === 0)) return together;
  const failover = balance?.failover ?? [];
  const priorityOf = (endpoint: Endpoint): number => {
    const near = locality === undefined ? 0 : distance(locality, endpoint.locality, failover);
    if (byLabels.length === 0) return near;
    const alike = labelDistance(byLabels, caller, endpoint);
    return failover.length === 0 ? alike : alike * 5 + near;
  };
  const groups = Map.groupBy(endpoints, (endpoint) => `${priorityOf(endpoint)} ${placeOf(endpoint)}`);
  const priorities = [...new Set(endpoints.map(priorityOf))].sort((a, b) => a - b);
  return [...groups.values()]
    .flatMap((members) => {
      const [first] = members;
      if (first === undefined) return [];
      const priority = priorities.indexOf(priorityOf(first));
      return [{ locality: first.locality, priority, weight: undefined, endpoints: members }];
    })
    .sort((a, b) => a.priority - b.priority || (placeOf(a) < placeOf(b) ? -1 : 1));
}

function placeOf({ locality }: { readonly locality?: Locality | undefined }): string {
  return locality === undefined ? "" : localityText(locality);
}

/** 0 the same subzone, 1 zone, 2 region, 3 another, 4 another than the region that should take over. */
function distance(own: Locality, other: Locality | undefined, failover: LocalityBalance["failover"]): number {
  if (other?.region === own.region) {
    if (other.zone !== own.zone) return 2;
    return other.subzone === own.subzone ? 0 : 1;
  }
  const rule = failover.find(({ from }) => from === own.region);
  return rule === undefined || rule.to === other?.region ? 3 : 4;
}

/** By the first label in which the two differ: 0 none, more the earlier it stands. */
function labelDistance(wanted: readonly string[], caller: Located, endpoint: Located): number {
  const differs = wanted.findIndex((text) => {
    const [name = "", value] = text.split("=", 2);
    return labelOf(endpoint, name) !== (value ?? labelOf(caller, name));
  });
  return differs < 0 ? 0 : wanted.length - differs;
}

/** A label; those of the topology are known by the locality too. */
export function labelOf({ labels, locality }: Located, name: string): string {
  const place: Readonly<Record<string, string | undefined>> = {
    [regionLabel]: locality?.region,
    [zoneLabel]: locality?.zone,
    [subzoneLabel]: locality?.subzone,
  };
  return labels[name] ?? place[name] ?? "";
}

/** The shares that stand for a caller's locality; undefined where none do. */
function distributed<Endpoint extends Located>(
  endpoints: readonly Endpoint[],
  own: Locality,
  { distribute }: LocalityBalance,
): LocalityGroup<Endpoint>[] | undefined {
  const rule = distribute.find(({ from }) => isLocality(own, from));
  if (rule === undefined) return undefined;
  const left = new Map(Map.groupBy(endpoints, placeOf));
  const groups: LocalityGroup<Endpoint>[] = [];
  // The most exact first, so that `*` means the rest.
  for (const [pattern, share] of rule.to.toSorted(([a], [b]) => exactness(b) - exactness(a))) {
    const fitting = [...left].filter(([, [first]]) => isLocality(first?.locality ?? nowhere, pattern));
    const count = fitting.reduce((sum, [, members]) => sum + members.length, 0);
    for (const [place, members] of fitting) {
      left.delete(place);
      const weight = Math.ceil((share * members.length) / count);
      if (weight > 0)
        groups.push({ locality: members[0]?.locality, priority: 0, weight, endpoints: members });
    }
  }
  return groups.sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
}

const nowhere: Locality = { region: "", zone: "", subzone: "" };

function exactness(pattern: string): number {
  return pattern.split("/").filter((part) => part !== "*" && part !== "").length;
}
