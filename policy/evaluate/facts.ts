import { withoutQuery } from "../path/normalize.ts";
import type { PolicyRequest } from "./request.ts";
import { asciiLowerCase } from "./text.ts";

/**
 * A request with what many tests of it need, worked out once. One object serves all requests of an evaluator, so that a
 * decision leaves nothing to collect.
 */
export class Facts {
  request: PolicyRequest;
  private knownPath: string | undefined;
  private knownHost: string | undefined;

  constructor(request: PolicyRequest = nobody) {
    this.request = request;
  }

  read(request: PolicyRequest): void {
    this.request = request;
    this.knownPath = undefined;
    this.knownHost = undefined;
  }

  /** Without the query. */
  get path(): string {
    this.knownPath ??= withoutQuery(this.request.path);
    return this.knownPath;
  }

  /** In lower case. */
  get host(): string {
    this.knownHost ??= asciiLowerCase(this.request.host);
    return this.knownHost;
  }
}

const nobody: PolicyRequest = {
  protocol: "http",
  method: "",
  path: "",
  host: "",
  headers: new Map(),
  sourceIp: "",
  remoteIp: "",
  identities: undefined,
  sni: "",
  destination: { ip: "", port: 0 },
  claims: undefined,
};
