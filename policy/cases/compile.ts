import { type Compiled, compilePolicies } from "../compile/compile.ts";
import { defaultMesh, type MeshSettings } from "../compile/mesh.ts";
import type { Workload } from "../compile/select.ts";
import { type PathNormalization, pathNormalizations } from "../path/normalize.ts";
import type { Case } from "./read.ts";
import { authenticationOf, type KeyRing } from "./token.ts";

/** The mesh settings of a case. @throws Error for a mode that there is not */
export function meshOf({ mesh = {} }: Case): MeshSettings {
  return {
    trustDomain: mesh.trustDomain ?? defaultMesh.trustDomain,
    trustDomainAliases: mesh.trustDomainAliases ?? [],
    rootNamespace: mesh.rootNamespace ?? defaultMesh.rootNamespace,
    pathNormalization: modeOf(mesh.pathNormalization),
    extensionProviders: mesh.extensionProviders ?? [],
    severalAuthorizers: mesh.enableMultipleCustomAuthzProviders ?? false,
  };
}

function modeOf(name: string | undefined): PathNormalization {
  if (name === undefined || name === "DEFAULT") return defaultMesh.pathNormalization;
  const mode = pathNormalizations.find((each) => each === name);
  if (mode === undefined)
    throw new Error(`pathNormalization \`${name}\` must be one of ${pathNormalizations.join(", ")}`);
  return mode;
}

export function workloadOf({ workload }: Case): Workload {
  return {
    ...workload,
    namespace: workload?.namespace ?? "foo",
    labels: workload?.labels ?? { app: "httpbin" },
  };
}

/** The policies of a case, compiled for its workload. */
export function compileCase(one: Case, keys: KeyRing): Compiled {
  const authentication = authenticationOf(one, keys);
  return compilePolicies(
    {
      authorization: (one.policies ?? []).filter(({ kind }) => kind === "AuthorizationPolicy"),
      authentication: authentication === undefined ? [] : [authentication],
    },
    workloadOf(one),
    meshOf(one),
    one.request?.protocol ?? "http",
  );
}
