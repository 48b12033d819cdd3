/** Finds who names a host most exactly. */
export interface HostIndex<T> {
  /** Of all that name `host`, the one that names it most exactly; the first of equals. */
  find(host: string): T | undefined;
}

/** @param hostsOf full names; a leading `*` stands for any first part */
export function hostIndex<T>(
  candidates: readonly T[],
  hostsOf: (candidate: T) => readonly string[],
): HostIndex<T> {
  const exact = new Map<string, T>();
  const wild = new Map<string, T>();
  for (const candidate of candidates) {
    for (const host of hostsOf(candidate)) {
      const into = host.startsWith("*") ? wild : exact;
      if (!into.has(host)) into.set(host, candidate);
    }
  }
  const longestFirst = [...wild].sort(([a], [b]) => b.length - a.length);
  return {
    find: (host) =>
      exact.get(host) ??
      wild.get(host) ??
      longestFirst.find(([pattern]) => host.endsWith(pattern.slice(1)))?.[1],
  };
}
