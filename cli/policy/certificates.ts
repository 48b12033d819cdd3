import { generateKeyPairSync } from "node:crypto";
import { createRoot, readAuthority } from "../../mesh/ca/authority.ts";
import type { NameAttribute } from "../../mesh/ca/certificate.ts";
import { signLeaf } from "../../mesh/ca/issue.ts";
import type { Certificate, Certificates, PeerNames } from "../../policy/harness/certificates.ts";

/** An authority for test runs, made of the mesh's own; its certificates say whatever is asked. */
export function testCertificates(): Certificates {
  const now = Date.now();
  const authority = readAuthority(createRoot("cluster.local", now));
  const known = new Map<string, Certificate>();
  return {
    root: authority.rootPem,
    issue(names) {
      const key = JSON.stringify(names);
      let certificate = known.get(key);
      if (certificate === undefined) {
        certificate = issue(names);
        known.set(key, certificate);
      }
      return certificate;
    },
  };

  function issue({ uris, dns, subject }: PeerNames): Certificate {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const chain = signLeaf(authority, {
      publicKeyInfo: publicKey.export({ format: "der", type: "spki" }),
      subject: readSubject(subject),
      names: { uris, dns },
      now,
      lifetime: 0,
    });
    return { cert: chain.join(""), key: privateKey.export({ format: "pem", type: "pkcs8" }).toString() };
  }
}

/** `O=shop,CN=web` as attributes; Envoy shows the last written first. */
function readSubject(subject: string): NameAttribute[] {
  return [...subject.matchAll(/(CN|OU|O)=([^,]*)/g)]
    .map(([, type, value = ""]) => ({ type: type as NameAttribute["type"], value }))
    .reverse();
}
