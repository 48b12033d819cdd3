import type { User } from "../authentication/user.ts";
import type { Target } from "../context.ts";
import type { JsonObject } from "../json.ts";
import type { ApiObject } from "../object.ts";

type Operation = "CREATE" | "UPDATE" | "DELETE";

/** What an admission webhook is asked about. */
export interface AdmissionRequest {
  readonly operation: Operation;
  readonly target: Target;
  readonly user: User;
  readonly dryRun: boolean;
  /** The options as the client gave them, without their type. */
  readonly options: JsonObject;
  /** undefined for DELETE. */
  readonly object: ApiObject | undefined;
  /** undefined for CREATE. */
  readonly old: ApiObject | undefined;
}

/** What the server does with an object that a webhook has changed. */
export interface Rework {
  /** Reads and defaults it, and gives back what names it. */
  readonly reread: (object: ApiObject) => ApiObject;
  /** Lets Kubernetes' own admission fill in, in place, what the change calls for. */
  readonly readmit: (object: ApiObject) => void;
}

/** The admission chain: mutating webhooks may change an object, validating ones may refuse it. */
export interface Admission {
  /**
   * The object as the mutating webhooks want it. Where one has changed it, those that ask for it
   * (`reinvocationPolicy: IfNeeded`) and were asked before see it once more.
   *
   * @param rework left out for a deletion, whose object cannot be changed
   * @throws the refusal's status
   */
  mutate(request: AdmissionRequest, warnings: string[], rework?: Rework): Promise<ApiObject | undefined>;
  /** Throws where a validating webhook refuses. */
  validate(request: AdmissionRequest, warnings: string[]): Promise<void>;
}
