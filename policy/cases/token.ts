import { createSign, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { RequestAuthentication } from "../../api/kinds.ts";
import type { Case, CaseToken } from "./read.ts";

/** The key pairs that cases name, made once a run: `rsa*` RSA-2048, `ec*` P-256, `d*` Ed25519. */
export class KeyRing {
  private readonly pairs = new Map<string, { privateKey: KeyObject; publicKey: KeyObject }>();

  pair(ref: string): { privateKey: KeyObject; publicKey: KeyObject } {
    let pair = this.pairs.get(ref);
    if (pair === undefined) {
      if (ref.startsWith("ec")) pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
      else if (ref.startsWith("d")) pair = generateKeyPairSync("ed25519");
      else pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
      this.pairs.set(ref, pair);
    }
    return pair;
  }

  /** The public key of a pair as a JWK, with the members that the case gives. */
  jwk({ ref, ...members }: Readonly<Record<string, unknown>> & { readonly ref: string }): object {
    return { ...this.pair(ref).publicKey.export({ format: "jwk" }), ...members };
  }
}

/** The RequestAuthentication that a case's rules stand for, undefined where it has none. */
export function authenticationOf(
  { requestAuthentication, workload }: Case,
  keys: KeyRing,
): RequestAuthentication | undefined {
  if (requestAuthentication === undefined) return undefined;
  const jwtRules = requestAuthentication.map(({ jwks, _remoteDown, ...rule }) => ({
    ...rule,
    ...(jwks === undefined ? {} : { jwks: JSON.stringify({ keys: jwks.keys.map((key) => keys.jwk(key)) }) }),
  }));
  return {
    apiVersion: "security.istio.io/v1",
    kind: "RequestAuthentication",
    metadata: { name: "case", namespace: workload?.namespace ?? "foo" },
    spec: { jwtRules },
  };
}

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Signs a case's token. `now+N` among the claims is N seconds from `now` (epoch seconds). */
export function makeToken({ key, header, claims }: CaseToken, keys: KeyRing, now: number): string {
  const timed = Object.fromEntries(
    Object.entries(claims).map(([name, value]) => {
      const offset = typeof value === "string" ? /^now([+-]\d+)$/.exec(value)?.[1] : undefined;
      return [name, offset === undefined ? value : now + Number(offset)];
    }),
  );
  const signed = `${base64url(header)}.${base64url(timed)}`;
  if (key === "none") return `${signed}.`;
  const { privateKey } = keys.pair(key);
  if (key.startsWith("ec"))
    return `${signed}.${sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
  if (key.startsWith("d"))
    return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString("base64url")}`;
  return `${signed}.${createSign("RSA-SHA256").update(signed).sign(privateKey).toString("base64url")}`;
}
