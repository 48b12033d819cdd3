import type { User } from "../authentication/user.ts";
import type { Target } from "../context.ts";
import type { ApiObject } from "../object.ts";

type Operation = "CREATE" | "UPDATE" | "DELETE";

/** What an admission webhook is asked about. */
export interface AdmissionRequest {
  readonly operation: Operation;
  readonly target: Target;
  readonly user: User;
  readonly dryRun: boolean;
  /** undefined for DELETE. */
  readonly object: ApiObject | undefined;
  /** undefined for CREATE. */
  readonly old: ApiObject | undefined;
}

/** The admission chain: mutating webhooks may change an object, validating ones may refuse it. */
export interface Admission {
  /** The object as the mutating webhooks want it. Throws the refusal's status. */
  mutate(request: AdmissionRequest & { readonly object: ApiObject }, warnings: string[]): Promise<ApiObject>;
  mutate(request: AdmissionRequest, warnings: string[]): Promise<ApiObject | undefined>;
  /** Throws where a validating webhook refuses. */
  validate(request: AdmissionRequest, warnings: string[]): Promise<void>;
}
