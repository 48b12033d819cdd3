import { generateKeyPair, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { Clock } from "../../lib/clock.ts";
import { writeCertificateRequest } from "../ca/csr.ts";
import { callUnary } from "./grpc.ts";
import { type AgentLog, reasonOf } from "./log.ts";
import { readCertificateAnswer, writeCertificateCall } from "./messages.ts";
import type { Secrets } from "./sds-server.ts";

export interface CertificateSource {
  /** `host:port` of the CA. */
  readonly caAddress: string;
  readonly tokenFile: string;
  readonly rootFile: string;
  /** Milliseconds asked for. */
  readonly lifetime: number;
}

const makeKeyPair = promisify(generateKeyPair);
const callTimeout = 10_000;
const rootCheckEvery = 15_000;

/**
 * Asks the CA for a certificate for a fresh EC P-256 key, which never leaves this process but to Envoy.
 *
 * Token and root are read each time: both are rotated in place.
 */
export async function fetchCertificate({
  caAddress,
  tokenFile,
  rootFile,
  lifetime,
}: CertificateSource): Promise<Secrets> {
  const [token, root] = await Promise.all([readFile(tokenFile, "utf8"), readFile(rootFile, "utf8")]);
  const pair = await makeKeyPair("ec", { namedCurve: "prime256v1" });
  const answer = await callUnary({
    origin: `https://${caAddress}`,
    method: "/istio.v1.auth.IstioCertificateService/CreateCertificate",
    message: writeCertificateCall(writeCertificateRequest(pair), lifetime),
    metadata: { authorization: `Bearer ${token.trim()}` },
    ca: root,
    timeout: callTimeout,
  });
  const chain = readCertificateAnswer(answer);
  if (chain.length < 2) throw new Error("the CA answered without a chain");
  return {
    chain: chain.slice(0, -1).join(""),
    key: pair.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    roots: root,
  };
}

/**
 * Milliseconds until a certificate that came just now should be replaced: half of what is left of its life, earlier
 * or later by up to 5 % of it, so that pods that started together do not renew together. Never less than a second,
 * whatever lifetime the CA gives.
 *
 * @param now epoch milliseconds
 * @param random 0-1
 */
export function renewalDelay(
  { validToDate }: Pick<X509Certificate, "validToDate">,
  now: number,
  random: number,
): number {
  return Math.max(1_000, (validToDate.getTime() - now) * (0.5 + (random - 0.5) * 0.1));
}

/** Milliseconds until the next attempt: 0.2 s doubling to 15 s, of which a random half is left out. */
export function retryDelay(attempt: number, random: number): number {
  return Math.min(200 * 2 ** attempt, 15_000) * (0.5 + random / 2);
}

/** Timers above this overflow in Node; a long wait is made of several. */
const longestTimer = 3600_000;

/**
 * Keeps the workload's secrets fresh: fetches, renews at half-life, tries again with back-off, and follows the root
 * file. `onSecrets` gets each new set.
 */
export function keepCertificate(
  source: CertificateSource,
  {
    clock,
    log,
    onSecrets,
  }: { readonly clock: Clock; readonly log: AgentLog; readonly onSecrets: (secrets: Secrets) => void },
): { readonly close: () => void } {
  let closed = false;
  let cancelRenewal = () => {};
  let current: Secrets | undefined;

  const fetchNow = async (attempt: number): Promise<void> => {
    try {
      const secrets = await fetchCertificate(source);
      if (closed) return;
      current = secrets;
      onSecrets(secrets);
      const certificate = new X509Certificate(secrets.chain);
      log.info("certificate received", { until: certificate.validToDate.toISOString() });
      waitUntil(clock.now() + renewalDelay(certificate, clock.now(), Math.random()));
    } catch (error) {
      if (closed) return;
      const delay = retryDelay(attempt, Math.random());
      log.warn("no certificate yet, trying again", {
        reason: reasonOf(error),
        seconds: delay / 1000,
        ca: source.caAddress,
      });
      cancelRenewal = clock.after(delay, () => void fetchNow(attempt + 1));
    }
  };

  const waitUntil = (at: number): void => {
    const left = at - clock.now();
    cancelRenewal = clock.after(Math.min(left, longestTimer), () =>
      left > longestTimer ? waitUntil(at) : void fetchNow(0),
    );
  };

  const followRoot = (): void => {
    cancelRoot = clock.after(rootCheckEvery, followRoot);
    readFile(source.rootFile, "utf8").then(
      (roots) => {
        if (closed || !current || roots === current.roots || !roots.includes("BEGIN CERTIFICATE")) return;
        current = { ...current, roots };
        log.info("root certificates changed");
        onSecrets(current);
      },
      (error: unknown) => log.warn("root certificates could not be read", { reason: reasonOf(error) }),
    );
  };

  let cancelRoot = clock.after(rootCheckEvery, followRoot);
  void fetchNow(0);
  return {
    close: () => {
      closed = true;
      cancelRenewal();
      cancelRoot();
    },
  };
}
