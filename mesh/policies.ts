import { AuthorizationPolicyKind, RequestAuthenticationKind } from "../api/kinds.ts";
import type { Problem } from "../api/resource.ts";
import type { Informers, PatchStatus } from "../kube/contract.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { compileAuthentication } from "../policy/compile/authentication.ts";
import { actionOf, compilePolicy } from "../policy/compile/compile.ts";
import { compileCustom } from "../policy/compile/custom.ts";
import type { MeshSettings } from "../policy/compile/mesh.ts";
import { egressGuard } from "../policy/jwks/egress.ts";
import { fetchDocument } from "../policy/jwks/fetch.ts";
import { KeyStore } from "../policy/jwks/store.ts";
import type { PolicyFiltersOf } from "./build/workload-filters.ts";
import { createPolicyFilters, keySources } from "./policy-filters.ts";
import { followPolicySettings } from "./policy-settings.ts";
import { startPolicyStatus } from "./policy-status.ts";

export interface PoliciesOptions {
  readonly informers: Informers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly patchStatus: PatchStatus;
  /** What holds where ConfigMap `istio` says nothing. */
  readonly base: MeshSettings;
  /** CIDR blocks that keys may be fetched from although the egress guard closes them. */
  readonly jwksAllow?: readonly string[];
}

/** The running part of policies: settings followed, keys fetched, conditions written. */
export interface Policies {
  readonly filtersOf: PolicyFiltersOf;
  /** Settings or keys have changed; the kinds of policies are watched by the mesh itself. */
  onChange(listener: () => void): () => void;
  /** What of any policy cannot be carried out, whatever it selects. */
  problems(): readonly Problem[];
  close(): void;
}

/** Starts it; the informers must hold the kinds of policies. @throws RangeError for a block that cannot be read */
export async function startPolicies(options: PoliciesOptions): Promise<Policies> {
  const { informers, clock, logger, patchStatus, base, jwksAllow = [] } = options;
  const settings = await followPolicySettings(informers, base);
  const egress = egressGuard(jwksAllow);
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const listener of listeners) listener();
  };
  const keys = new KeyStore({
    clock,
    fetch: (uri, timeout) => fetchDocument(uri, egress, timeout),
    onChange: tell,
  });
  const snapshot = () => informers.snapshot();
  const wantKeys = () => keys.want(keySources(snapshot().list(RequestAuthenticationKind)));

  const problems = (): readonly Problem[] => {
    const mesh = settings.current();
    const authorization = snapshot().list(AuthorizationPolicyKind);
    const custom = authorization.filter((policy) => actionOf(policy) === "CUSTOM");
    return [
      ...settings.problems(),
      ...authorization
        .filter((policy) => !custom.includes(policy))
        .flatMap((policy) => compilePolicy(policy, mesh, "http").problems),
      // Each alone: whether one workload has too many providers is another question.
      ...custom.flatMap((policy) => compileCustom([policy], mesh, "http").problems),
      ...snapshot()
        .list(RequestAuthenticationKind)
        .flatMap((policy) => compileAuthentication([policy], keys.keysOf).problems),
    ];
  };

  wantKeys();
  const closeStatus = startPolicyStatus({
    informers,
    problems,
    patchStatus,
    clock,
    logger,
    onChange: subscribe,
  });
  const stop = [
    informers.onChange(RequestAuthenticationKind, wantKeys),
    settings.onChange(tell),
    closeStatus,
    () => keys.close(),
    () => settings.close(),
  ];

  function subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  return {
    filtersOf: createPolicyFilters({ snapshot, settings: settings.current, keys }),
    onChange: subscribe,
    problems,
    close: () => {
      for (const end of stop) end();
      listeners.clear();
    },
  };
}
