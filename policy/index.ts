/** The published entry `fairlead/policy`: evaluate Istio's policies without a mesh. */
export { compilePolicies } from "./compile/compile.ts";
export { defaultMesh, type MeshSettings } from "./compile/mesh.ts";
export { type Authentication, authenticate, type CarriedToken } from "./evaluate/authenticate.ts";
export { type Evaluate, evaluator } from "./evaluate/evaluate.ts";
export type { PolicyRequest, Verdict } from "./evaluate/request.ts";
export type { WorkloadPolicy } from "./model.ts";
