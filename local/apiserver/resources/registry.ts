import type { ApiObject } from "../object.ts";
import { customResource } from "./custom.ts";
import { groupVersion, type Resource, resourceName, servedVersion } from "./resource.ts";

/** Every resource that is served right now: the built-in ones and those of CRDs. */
export class Registry {
  readonly #resources = new Map<string, Resource>();
  /** Counts changes: discovery and OpenAPI documents are made again when it moves. */
  #generation = 0;

  constructor(builtin: readonly Resource[]) {
    for (const resource of builtin) this.#resources.set(resourceName(resource), resource);
  }

  get generation(): number {
    return this.#generation;
  }

  all(): Resource[] {
    return [...this.#resources.values()];
  }

  /** By group and plural, in any version. */
  find(group: string, plural: string): Resource | undefined {
    return this.#resources.get(resourceName({ group, plural }));
  }

  /** By group and kind. */
  ofKind(group: string, kind: string): Resource | undefined {
    return this.all().find((resource) => resource.group === group && resource.kind === kind);
  }

  /** By a store name, e.g. `deployments.apps`. */
  named(name: string): Resource | undefined {
    return this.#resources.get(name);
  }

  /** The resources of a group in a served version, in alphabetical order. */
  inGroupVersion(group: string, version: string): Resource[] {
    return this.all()
      .filter((resource) => resource.group === group && servedVersion(resource, version) !== undefined)
      .toSorted((left, right) => (left.plural < right.plural ? -1 : 1));
  }

  /** Whether Kubernetes itself has kinds in it. */
  isBuiltinGroup(group: string): boolean {
    return this.all().some((resource) => resource.group === group && !resource.custom);
  }

  /** Groups (except the core one) with their served versions, the preferred first. */
  groups(): Map<string, string[]> {
    const groups = new Map<string, Set<string>>();
    for (const { group, versions } of this.all()) {
      if (group === "") continue;
      const known = groups.get(group) ?? new Set();
      for (const { name, served } of versions) if (served) known.add(name);
      if (known.size > 0) groups.set(group, known);
    }
    return new Map([...groups].map(([group, versions]) => [group, [...versions].toSorted(byPriority)]));
  }

  /** Every `group/version` that is served, the core one first. */
  groupVersions(): { group: string; version: string; path: string }[] {
    const list = [{ group: "", version: "v1", path: "api/v1" }];
    for (const [group, versions] of this.groups()) {
      for (const version of versions)
        list.push({ group, version, path: `apis/${groupVersion(group, version)}` });
    }
    return list;
  }

  /** Serves what `definition` describes from now on. */
  define(definition: ApiObject): void {
    const resource = customResource(definition);
    // A CRD must not take the place of one of Kubernetes' own kinds.
    if (this.#resources.get(resourceName(resource))?.custom === false) return;
    this.#resources.set(resourceName(resource), resource);
    this.#generation++;
  }

  /** Ends serving what `definition` described. */
  undefine(definition: ApiObject): void {
    if (this.#resources.get(definition.metadata.name)?.custom !== true) return;
    this.#resources.delete(definition.metadata.name);
    this.#generation++;
  }
}

/** Kubernetes' order of versions: GA before beta before alpha, the higher first. */
function byPriority(left: string, right: string): number {
  const rank = (version: string) => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
    if (match === null) return [-1, 0, 0];
    const stage = match[2] === undefined ? 2 : match[2] === "beta" ? 1 : 0;
    return [stage, Number(match[1]), Number(match[3] ?? 0)];
  };
  const [a, b] = [rank(left), rank(right)];
  for (let index = 0; index < 3; index++) {
    const difference = (b[index] ?? 0) - (a[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return left < right ? -1 : 1;
}
