import { withoutQuery } from "../path/normalize.ts";
import type { PolicyRequest } from "./request.ts";
import { asciiLowerCase } from "./text.ts";

/**
 * A request with what many tests of it need, worked out once. One object serves all requests of an evaluator, so that a
 * decision leaves nothing to collect.
 */
export class Facts {
  request: PolicyRequest;
  /** Without the query. */
  path = "";
  host = "";

  constructor(request: PolicyRequest = nobody) {
    this.request = request;
    this.read(request);
  }

  read(request: PolicyRequest): void {
    this.request = request;
    this.path = withoutQuery(request.path);
    this.host = asciiLowerCase(request.host);
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
