import { NamespaceKind, type Secret, SecretKind } from "../../api/core.ts";
import type { Client } from "../../kube/contract.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../../kube/error.ts";
import { type Authority, type AuthorityFiles, createRoot, readAuthority } from "./authority.ts";

/** Istio's names: a plugged-in authority, and the one that is made where there is none. */
const pluggedIn = "cacerts";
const selfSigned = "istio-ca-secret";

/**
 * Finds the mesh's authority in the control plane's namespace, or makes it.
 *
 * Several replicas may start at once: the first to create the Secret wins, the others take what it stored. A Secret
 * that is there and cannot be read is an error for a person, never a reason for a new root, which would cut off
 * every running workload.
 */
export async function loadAuthority(
  client: Client,
  namespace: string,
  trustDomain: string,
  now: number,
): Promise<Authority> {
  const existing =
    (await readSecret(client, namespace, pluggedIn)) ?? (await readSecret(client, namespace, selfSigned));
  if (existing) return existing;
  const files = createRoot(trustDomain, now);
  try {
    await createSecret(client, secretOf(namespace, files));
    return readAuthority(files);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const other = await readSecret(client, namespace, selfSigned);
    if (!other) throw error;
    return other;
  }
}

/**
 * An authority of a part of the control plane, in a Secret of that name, which may be there and empty, as a Helm chart
 * makes it: its account then needs no right to create Secrets. Of several replicas the first to write wins.
 *
 * @throws Error where what the Secret holds cannot be used; ApiError where the API server does not answer
 */
export async function loadPartAuthority(
  client: Client,
  namespace: string,
  name: string,
  trustDomain: string,
  now: number,
): Promise<Authority> {
  for (;;) {
    const stored = await client.get(SecretKind, namespace, name);
    if (stored?.data?.["ca-key.pem"] !== undefined) return readStored(stored);
    const files = createRoot(trustDomain, now);
    const fresh = secretOf(namespace, files);
    try {
      if (stored) await client.replace(SecretKind, { ...stored, data: { ...stored.data, ...fresh.data } });
      else await createSecret(client, { ...fresh, metadata: { name, namespace } });
      return readAuthority(files);
    } catch (error) {
      if (!isAlreadyExists(error) && !isConflict(error)) throw error;
    }
  }
}

/** A fresh embedded API server may not have the control plane's namespace yet. */
async function createSecret(client: Client, secret: Secret): Promise<void> {
  try {
    await client.create(SecretKind, secret);
  } catch (error) {
    const name = secret.metadata.namespace;
    if (!isNotFound(error) || name === undefined) throw error;
    await client.create(NamespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
    await client.create(SecretKind, secret);
  }
}

async function readSecret(client: Client, namespace: string, name: string): Promise<Authority | undefined> {
  const secret = await client.get(SecretKind, namespace, name);
  return secret && readStored(secret);
}

function readStored(secret: Secret): Authority {
  const { namespace, name } = secret.metadata;
  try {
    return readAuthority(filesOf(secret));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `secret \`${namespace}/${name}\` holds no usable certificate authority: ${reason}; repair or delete it`,
      { cause },
    );
  }
}

function filesOf({ data = {} }: Secret): AuthorityFiles {
  const file = (name: string) => {
    const text = data[name];
    return text === undefined ? undefined : Buffer.from(text, "base64").toString("utf8");
  };
  const certificate = file("ca-cert.pem") ?? file("tls.crt");
  const key = file("ca-key.pem") ?? file("tls.key");
  if (!certificate || !key)
    throw new Error("it has no `ca-cert.pem` with `ca-key.pem`, nor `tls.crt` with `tls.key`");
  const chain = file("cert-chain.pem");
  const root = file("root-cert.pem") ?? file("ca.crt");
  return { certificate, key, ...(chain ? { chain } : {}), ...(root ? { root } : {}) };
}

function secretOf(namespace: string, { certificate, key }: AuthorityFiles): Secret {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: selfSigned, namespace },
    type: "istio.io/ca-root",
    data: { "ca-cert.pem": base64(certificate), "ca-key.pem": base64(key) },
  };
}
