/** The published entry `fairlead/policy`: evaluate Istio's policies without a mesh. */
export { checkPolicy } from "./admission/check.ts";
export { compilePolicies } from "./compile/compile.ts";
export { defaultMesh, type MeshSettings } from "./compile/mesh.ts";
export { type Ask, type Decision, decider } from "./edge/decide.ts";
export type { WireRequest } from "./edge/receive.ts";
export { type Evaluate, evaluator } from "./evaluate/evaluate.ts";
export type { PolicyRequest, Verdict } from "./evaluate/request.ts";
export { type Explanation, explainDecision, wordMiss } from "./explain/explain.ts";
export { type Authentication, authenticate } from "./jwt/authenticate.ts";
export { PolicyEngine } from "./live/engine.ts";
export type { WorkloadPolicy } from "./model.ts";
export { normalizePath, type PathNormalization } from "./path/normalize.ts";
