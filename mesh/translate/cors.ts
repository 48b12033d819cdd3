import type { CorsPolicy as WrittenCors } from "../../api/generated/virtualservices.ts";
import type { CorsPolicy, StringMatch } from "../model/route.ts";
import { readDuration } from "./duration.ts";
import { readMatch } from "./match.ts";
import type { Report } from "./problem.ts";

/** The older list `allowOrigin` holds exact origins, and `*` for any. @see networking.istio.io CorsPolicy */
export function translateCors(cors: WrittenCors, report: Report): CorsPolicy {
  const origins: StringMatch[] = [];
  for (const [index, written] of (cors.allowOrigins ?? []).entries()) {
    const match = readMatch(written, report.at("allowOrigins", index));
    // A match that says nothing fits every origin that there is.
    if (match !== undefined) origins.push(match.kind === "present" ? anyOrigin : match);
  }
  if (cors.allowOrigins === undefined) {
    for (const origin of cors.allowOrigin ?? [])
      origins.push(origin === "*" ? anyOrigin : { kind: "exact", value: origin });
  }
  return {
    allowOrigins: origins,
    allowMethods: cors.allowMethods ?? [],
    allowHeaders: cors.allowHeaders ?? [],
    exposeHeaders: cors.exposeHeaders ?? [],
    maxAge: readDuration(cors.maxAge, "maxAge", report),
    allowCredentials: cors.allowCredentials ?? undefined,
    forwardUnmatchedPreflights: cors.unmatchedPreflights !== "IGNORE",
  };
}

const anyOrigin: StringMatch = { kind: "regex", value: ".*" };
