/** A certificate authority for the benchmark's own processes. */
import { generateKeyPairSync } from "node:crypto";
import { type AuthorityFiles, createRoot, readAuthority } from "../../mesh/ca/authority.ts";
import { writeCertificateRequest } from "../../mesh/ca/csr.ts";
import { issueCertificate } from "../../mesh/ca/issue.ts";
import { namespace, serviceAccount } from "./plan.ts";

/** The authority for the control plane's process, and the certificate that every proxy shows. PEM. */
export interface Certificates {
  readonly authority: AuthorityFiles;
  readonly rootPem: string;
  readonly workload: { readonly cert: string; readonly key: string };
}

export function makeCertificates(): Certificates {
  const files = createRoot("cluster.local", Date.now());
  const authority = readAuthority(files);
  const pair = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const chain = issueCertificate(authority, {
    csr: writeCertificateRequest(pair),
    identity: { trustDomain: "cluster.local", namespace, serviceAccount },
    now: Date.now(),
  });
  return {
    authority: files,
    rootPem: authority.rootPem,
    workload: {
      cert: chain.slice(0, -1).join(""),
      key: pair.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    },
  };
}
