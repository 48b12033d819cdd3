import { createHash, createPublicKey, type KeyObject, randomUUID } from "node:crypto";
import { errors, exportJWK, type JWTPayload, jwtVerify, SignJWT } from "jose";
import { isObject, objectAt, textAt } from "../json.ts";

/** `iss` of every service account token, and the audience of those meant for this API. */
export const issuer = "https://kubernetes.default.svc.cluster.local";

export interface BoundObject {
  readonly kind: "Pod" | "Secret" | "Node";
  readonly name: string;
  readonly uid: string;
}

export interface TokenClaims {
  readonly namespace: string;
  readonly serviceAccount: { readonly name: string; readonly uid: string };
  readonly bound?: BoundObject;
  readonly audiences: readonly string[];
  /** Epoch milliseconds. */
  readonly expiresAt: number;
  readonly id: string;
}

/** Signs and verifies service account tokens (JWT, ES256, Kubernetes' private claims). */
export class Tokens {
  readonly #key: KeyObject;
  readonly #publicKey: KeyObject;
  readonly #keyId: string;

  constructor(key: KeyObject) {
    this.#key = key;
    this.#publicKey = createPublicKey(key);
    this.#keyId = createHash("sha256")
      .update(this.#publicKey.export({ type: "spki", format: "der" }))
      .digest("base64url");
  }

  /** A token with these claims, good from now on. `now` in epoch milliseconds. */
  async sign(claims: Omit<TokenClaims, "id">, now: number): Promise<string> {
    const bound = claims.bound;
    const kubernetes = {
      namespace: claims.namespace,
      ...(bound === undefined ? {} : { [bound.kind.toLowerCase()]: { name: bound.name, uid: bound.uid } }),
      serviceaccount: claims.serviceAccount,
    };
    const seconds = Math.floor(now / 1000);
    return new SignJWT({ "kubernetes.io": kubernetes })
      .setProtectedHeader({ alg: "ES256", kid: this.#keyId })
      .setIssuer(issuer)
      .setSubject(`system:serviceaccount:${claims.namespace}:${claims.serviceAccount.name}`)
      .setAudience([...claims.audiences])
      .setIssuedAt(seconds)
      .setNotBefore(seconds)
      .setExpirationTime(Math.floor(claims.expiresAt / 1000))
      .setJti(randomUUID())
      .sign(this.#key);
  }

  /** What a token of ours claims; undefined where it is not ours, expired or altered. Audiences are the caller's to check. */
  async verify(token: string, now: number): Promise<TokenClaims | undefined> {
    try {
      const { payload } = await jwtVerify(token, this.#publicKey, {
        issuer,
        algorithms: ["ES256"],
        currentDate: new Date(now),
      });
      return readClaims(payload);
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }

  /** The public keys, for `/openid/v1/jwks`. */
  async keySet(): Promise<object> {
    const key = await exportJWK(this.#publicKey);
    return { keys: [{ ...key, use: "sig", alg: "ES256", kid: this.#keyId }] };
  }
}

function readClaims(payload: JWTPayload): TokenClaims | undefined {
  const kubernetes = payload["kubernetes.io"];
  const namespace = textAt(kubernetes, "namespace");
  const name = textAt(kubernetes, "serviceaccount", "name");
  const uid = textAt(kubernetes, "serviceaccount", "uid");
  if (namespace === undefined || name === undefined || uid === undefined || payload.exp === undefined)
    return undefined;
  const bound = readBound(kubernetes);
  return {
    namespace,
    serviceAccount: { name, uid },
    ...(bound === undefined ? {} : { bound }),
    audiences: typeof payload.aud === "string" ? [payload.aud] : (payload.aud ?? []),
    expiresAt: payload.exp * 1000,
    id: payload.jti ?? "",
  };
}

function readBound(kubernetes: unknown): BoundObject | undefined {
  for (const kind of ["Pod", "Secret", "Node"] as const) {
    const reference = objectAt(kubernetes, kind.toLowerCase());
    if (!isObject(reference)) continue;
    const name = textAt(reference, "name");
    const uid = textAt(reference, "uid");
    if (name !== undefined && uid !== undefined) return { kind, name, uid };
  }
  return undefined;
}
