/** An admission webhook that both servers ask: what it answers stands in the path that it is asked under. */
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:https";
import { listAt, objectAt, textAt } from "../../local/apiserver/json.ts";
import { writeCertificate } from "../../local/apiserver/pki/certificate.ts";

export interface Webhook {
  /** `https://127.0.0.1:PORT`. */
  readonly url: string;
  /** PEM, as base64. */
  readonly caBundle: string;
  stop(): Promise<void>;
}

/** Starts it on a free port. */
export async function startWebhook(): Promise<Webhook> {
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const serving = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const times = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  const issuer = { commonName: "conformance-ca", key: authority.privateKey };
  const ca = writeCertificate(
    { commonName: "conformance-ca", use: "authority", publicKey: authority.publicKey, ...times },
    issuer,
  );
  const publicKey = createPublicKey(serving.privateKey);
  const cert = writeCertificate(
    { commonName: "webhook", use: "server", hosts: ["127.0.0.1"], publicKey, ...times },
    issuer,
  );
  const key = serving.privateKey.export({ type: "pkcs8", format: "pem" });
  const server = createServer({ cert, key }, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
    const review: unknown = JSON.parse(Buffer.concat(chunks).toString());
    const asked = objectAt(review, "request");
    const [, kind = "", word = ""] = (request.url ?? "").split("?", 1)[0]?.split("/") ?? [];
    if (kind === "hang") return;
    if (kind === "fail") return void response.writeHead(500).end("out of order");
    if (kind === "text") return void response.end("yes");
    const answer = { uid: asked.uid, ...answers[kind]?.(asked, word) };
    const { apiVersion = "admission.k8s.io/v1", ...rest } = answer;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ apiVersion, kind: "AdmissionReview", response: rest }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `https://127.0.0.1:${port}`,
    caBundle: Buffer.from(ca).toString("base64"),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

type Answer = Record<string, unknown> & { readonly apiVersion?: string };

const patched = (operations: readonly object[]): Answer => ({
  allowed: true,
  patchType: "JSONPatch",
  patch: Buffer.from(JSON.stringify(operations)).toString("base64"),
});

/** Sets an annotation, whether there are any or not. */
function annotated(request: unknown, name: string, value: string): Answer {
  const annotations = { ...objectAt(request, "object", "metadata", "annotations"), [name]: value };
  return patched([{ op: "add", path: "/metadata/annotations", value: annotations }]);
}

const answers: Readonly<Record<string, (request: unknown, word: string) => Answer>> = {
  allow: () => ({ allowed: true }),
  deny: () => ({ allowed: false, status: { code: 422, reason: "Invalid", message: "not like this" } }),
  "deny-shortly": () => ({ allowed: false }),
  "deny-by-reason": () => ({ allowed: false, status: { code: 403, reason: "Forbidden" } }),
  warn: () => ({ allowed: true, warnings: ["mind the gap", "and the step"] }),
  "warn-and-deny": () => ({ allowed: false, warnings: ["told you"], status: { message: "no" } }),
  /** Adds the word to a list of those who were asked. */
  append: (request, word) =>
    annotated(
      request,
      "asked",
      `${textAt(request, "object", "metadata", "annotations", "asked") ?? ""}${word}`,
    ),
  /** Notes what it sees. */
  see: (request) => {
    const { object: _object, oldObject: _old, uid: _uid, ...seen } = objectAt(request);
    return annotated(request, "seen", JSON.stringify(seen, Object.keys(flat(seen)).sort()));
  },
  container: () =>
    patched([{ op: "add", path: "/spec/containers/-", value: { name: "side", image: "side:1" } }]),
  /** Notes the containers that it sees, where it has not. */
  containers: (request) => {
    const names = listAt(request, "object", "spec", "containers").map((each) => textAt(each, "name"));
    return annotated(request, "containers", names.join(" "));
  },
  "another-uid": () => ({ allowed: true, uid: "somebody-else" }),
  "another-version": () => ({ apiVersion: "admission.k8s.io/v7", allowed: true }),
  "patch-of-no-type": () => ({ allowed: true, patch: Buffer.from("[]").toString("base64") }),
  "patch-of-nothing": () => patched([]),
  rename: () => patched([{ op: "replace", path: "/metadata/name", value: "other" }]),
};

/** Every name in a value, for JSON.stringify's list of names. */
function flat(value: unknown, names: Record<string, true> = {}): Record<string, true> {
  if (typeof value !== "object" || value === null) return names;
  for (const [name, part] of Object.entries(value)) {
    names[name] = true;
    flat(part, names);
  }
  return names;
}
