import { execFileSync } from "node:child_process";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { createRoot, readAuthority } from "./authority.ts";
import { readCertificateRequest, writeCertificateRequest } from "./csr.ts";
import { element, integer, objectIdentifier, pem, sequence } from "./der-writer.ts";
import { issueCertificate } from "./issue.ts";
import { IssueError } from "./issue-error.ts";

const folder = mkdtempSync(join(tmpdir(), "ca-"));
afterAll(() => rmSync(folder, { recursive: true }));

const now = Date.now();
const rootFiles = createRoot("cluster.local", now);
const authority = readAuthority(rootFiles);
const identity = { trustDomain: "cluster.local", namespace: "shop", serviceAccount: "cart" };
const facts = { workload: "cart-primary", app: "cart", version: "v2" };
const csr = writeCertificateRequest(generateKeyPairSync("ec", { namedCurve: "prime256v1" }));

function issued(request: Partial<Parameters<typeof issueCertificate>[1]> = {}): X509Certificate {
  const [leaf = ""] = issueCertificate(authority, { csr, identity, facts, now, ...request });
  return new X509Certificate(leaf);
}

function openssl(...args: string[]): string {
  return execFileSync("openssl", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** A request as somebody with bad intentions would write it. */
function opensslRequest(
  name: string,
  config: string,
  key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
): string {
  writeFileSync(
    join(folder, `${name}.cnf`),
    `[req]\ndistinguished_name=dn\nreq_extensions=ext\nprompt=no\n${config}`,
  );
  return openssl("req", "-new", ...key, "-nodes", "-keyout", `${name}.key`, "-config", `${name}.cnf`);
}

function refusalOf(text: string): { code: string; milliseconds: number } {
  const start = performance.now();
  try {
    readCertificateRequest(text);
    return { code: "accepted", milliseconds: performance.now() - start };
  } catch (error) {
    const code = error instanceof IssueError ? error.code : `not an IssueError: ${String(error)}`;
    return { code, milliseconds: performance.now() - start };
  }
}

describe("a leaf", () => {
  test("holds one SPIFFE URI and the workload's facts, for 24 hours", () => {
    const leaf = issued();
    expect(leaf.subjectAltName).toBe("URI:spiffe://cluster.local/ns/shop/sa/cart");
    expect(leaf.subject).toBe("O=shop\nOU=cart\nOU=v2\nCN=cart-primary");
    expect(leaf.ca).toBe(false);
    expect(leaf.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    expect(leaf.validFromDate.getTime()).toBe(Math.floor((now - 120_000) / 1000) * 1000);
    expect(leaf.validToDate.getTime()).toBe(Math.floor((now + 24 * 3600_000) / 1000) * 1000);
    expect(leaf.serialNumber).not.toBe(issued().serialNumber);
  });

  test("is verified by openssl for client and server, by the strict rules of RFC 5280", () => {
    const [leaf = "", root = ""] = issueCertificate(authority, { csr, identity, facts, now });
    writeFileSync(join(folder, "leaf.pem"), leaf);
    writeFileSync(join(folder, "root.pem"), root);
    for (const purpose of ["sslclient", "sslserver"]) {
      expect(
        openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", "root.pem", "leaf.pem"),
      ).toContain("OK");
    }
    expect(openssl("x509", "-in", "leaf.pem", "-noout", "-text")).toContain("CA:FALSE");
  });

  test("under an RSA intermediate carries the chain up to the plugged-in root", () => {
    openssl(
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      "r.key",
      "-out",
      "r.pem",
      "-subj",
      "/O=corp/CN=root",
      "-days",
      "30",
    );
    openssl(
      "req",
      "-new",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      "i.key",
      "-out",
      "i.csr",
      "-subj",
      "/O=corp/CN=mesh",
    );
    writeFileSync(
      join(folder, "i.ext"),
      "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n",
    );
    openssl(
      "x509",
      "-req",
      "-in",
      "i.csr",
      "-CA",
      "r.pem",
      "-CAkey",
      "r.key",
      "-CAcreateserial",
      "-out",
      "i.pem",
      "-days",
      "20",
      "-extfile",
      "i.ext",
    );
    const read = (name: string) => execFileSync("cat", [join(folder, name)], { encoding: "utf8" });
    const plugged = readAuthority({
      certificate: read("i.pem"),
      key: read("i.key"),
      chain: read("i.pem"),
      root: read("r.pem"),
    });
    const chain = issueCertificate(plugged, { csr, identity, facts, now });
    expect(chain).toHaveLength(3);
    writeFileSync(join(folder, "l.pem"), chain[0] ?? "");
    expect(openssl("verify", "-CAfile", "r.pem", "-untrusted", "i.pem", "l.pem")).toContain("OK");
  });

  test("never outlives its issuer, and an expired issuer signs nothing", () => {
    const late = authority.notAfter - 3600_000;
    expect(issued({ now: late }).validToDate.getTime()).toBe(authority.notAfter);
    expect(() => issued({ now: authority.notAfter })).toThrow(
      expect.objectContaining({ code: "root-expired" }),
    );
  });

  test("has a subject without slash or comma, whatever the labels are", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string(), (app, version) => {
        const { subject } = issued({ facts: { workload: "w", app, version } });
        expect(subject).toMatch(/^O=shop\nOU=[A-Za-z0-9._-]+\nOU=[A-Za-z0-9._-]+\nCN=w$/);
      }),
      { numRuns: 50 },
    );
  });

  test.for(["a/b", "a\0b", "A", "", "x,DNS:evil", "../../ns/other"])(
    "is not issued for service account %j",
    (serviceAccount) => {
      expect(() => issued({ identity: { ...identity, serviceAccount } })).toThrow(
        expect.objectContaining({ code: "identity-mismatch" }),
      );
    },
  );

  test("is issued a thousand times in a second or so", () => {
    const start = performance.now();
    for (let count = 0; count < 500; count += 1) issued();
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

describe("a request's wishes", () => {
  test("for names, a CA and a subject are ignored (S30)", () => {
    const greedy = opensslRequest(
      "greedy",
      "[dn]\nCN=admin\nO=q/ns/prod/z\n[ext]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n" +
        "subjectAltName=URI:spiffe://cluster.local/ns/kube-system/sa/admin,URI:spiffe://x/ns/y/sa/z,DNS:istiod.istio-system.svc,email:a@b.c\n",
    );
    const leaf = issued({ csr: greedy });
    expect(leaf.subjectAltName).toBe("URI:spiffe://cluster.local/ns/shop/sa/cart");
    expect(leaf.subject).toBe("O=shop\nOU=cart\nOU=v2\nCN=cart-primary");
    expect(leaf.ca).toBe(false);
  });

  test("for an RSA key are granted", () => {
    const rsa = opensslRequest("rsa", "[dn]\nCN=x\n[ext]\n", ["-newkey", "rsa:2048"]);
    expect(issued({ csr: rsa }).publicKey.asymmetricKeyType).toBe("rsa");
  });
});

describe("a request is refused", () => {
  const der = Buffer.from(csr.replace(/-----[^-]+-----|\s/g, ""), "base64");

  test.for<[string, () => string]>([
    ["where it is no PEM", () => "hello"],
    ["where it is two", () => csr + csr],
    ["where it is longer than 16 KiB", () => csr.replace("\n", `\n${"A".repeat(20_000)}`)],
    [
      "where its signature is another's",
      () => {
        const changed = Buffer.from(der);
        changed.writeUInt8(changed.readUInt8(changed.length - 3) ^ 1, changed.length - 3);
        return pem("CERTIFICATE REQUEST", changed);
      },
    ],
    ["where it is cut short", () => pem("CERTIFICATE REQUEST", der.subarray(0, -5))],
    ["where bytes follow it", () => pem("CERTIFICATE REQUEST", Buffer.concat([der, Buffer.from([5, 0])]))],
    [
      "where its RSA key is of 1024 bits",
      () => opensslRequest("weak", "[dn]\nCN=x\n[ext]\n", ["-newkey", "rsa:1024"]),
    ],
    [
      "where its RSA exponent is 3 (S31)",
      () =>
        opensslRequest("e3", "[dn]\nCN=x\n[ext]\n", [
          "-newkey",
          "rsa",
          "-pkeyopt",
          "rsa_keygen_bits:2048",
          "-pkeyopt",
          "rsa_keygen_pubexp:3",
        ]),
    ],
    [
      "where its key is Ed25519 (S32)",
      () => opensslRequest("ed", "[dn]\nCN=x\n[ext]\n", ["-newkey", "ed25519"]),
    ],
    [
      "where it is nested 10,000 deep (S34)",
      () => {
        let nested: Buffer = Buffer.from([0x30, 0]);
        for (let depth = 0; depth < 4_000; depth += 1)
          nested = nested.length < 10_000 ? element(0x30, nested) : nested;
        return pem("CERTIFICATE REQUEST", nested);
      },
    ],
    [
      "where an OID has an oversized arc (S34)",
      () =>
        pem(
          "CERTIFICATE REQUEST",
          sequence(element(0x06, Buffer.alloc(3_000, 0xff), Buffer.from([1])), sequence()),
        ),
    ],
    ["where its key material is zero (S35)", () => withKey(zeroRsaKey())],
    ["where its EC point is zero (S35)", () => withKey(zeroEcKey())],
  ])("%s", ([, text]) => {
    const { code, milliseconds } = refusalOf(text());
    expect(code).toBe("malformed-csr");
    expect(milliseconds).toBeLessThan(50);
  });

  test("or accepted, and nothing else happens, whatever the bytes are", () => {
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(der);
        changed.writeUInt8(value, at);
        expect(["malformed-csr", "accepted"]).toContain(refusalOf(pem("CERTIFICATE REQUEST", changed)).code);
      }),
      { numRuns: 300 },
    );
  });

  function withKey(publicKeyInfo: Buffer): string {
    const info = sequence(integer(Buffer.from([0])), sequence(), publicKeyInfo, element(0xa0));
    const algorithm = sequence(objectIdentifier("1.2.840.113549.1.1.11"), element(0x05));
    return pem("CERTIFICATE REQUEST", sequence(info, algorithm, element(0x03, Buffer.alloc(257))));
  }

  function zeroRsaKey(): Buffer {
    const key = sequence(integer(Buffer.alloc(256)), integer(Buffer.from([1, 0, 1])));
    return sequence(
      sequence(objectIdentifier("1.2.840.113549.1.1.1"), element(0x05)),
      element(0x03, Buffer.from([0]), key),
    );
  }

  function zeroEcKey(): Buffer {
    const algorithm = sequence(
      objectIdentifier("1.2.840.10045.2.1"),
      objectIdentifier("1.2.840.10045.3.1.7"),
    );
    return sequence(algorithm, element(0x03, Buffer.from([0, 4]), Buffer.alloc(64)));
  }
});
