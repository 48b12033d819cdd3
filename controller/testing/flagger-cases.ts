/** The cases by which Flagger's own authors accept it, written anew: each runs against a world in memory and against an API server. */
import type { FlaggerCases } from "./flagger/bed.ts";
import { istioCases } from "./flagger/istio.ts";
import { otherCases } from "./flagger/others.ts";

export const flaggerCases: FlaggerCases = { ...istioCases, ...otherCases };
