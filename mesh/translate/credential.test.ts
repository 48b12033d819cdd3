import { beforeAll, expect, test } from "vitest";
import type { Secret } from "../../api/core.ts";
import { makeCertificate } from "../../test/e2e/support/gateway-world.ts";
import { type Credential, credentialFault, refusal } from "../model/credential.ts";
import { translateCredential } from "./credential.ts";

const good = makeCertificate("shop.example.com");
const newer = makeCertificate("shop.example.com");

function secret(data: Readonly<Record<string, string>>): Secret {
  const encoded = Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString("base64")]);
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "cert", namespace: "demo" },
    data: Object.fromEntries(encoded) as Record<string, string>,
  };
}

const pair = ({ cert, key }: { readonly cert: string; readonly key: string }) => ({
  "tls.crt": cert,
  "tls.key": key,
});
let held: Credential | undefined;

beforeAll(() => {
  held = translateCredential(secret({ ...pair(good), "ca.crt": good.root }));
});

test("a certificate that cannot be used does not take the place of one that can", () => {
  const broken = translateCredential(secret({ ...pair({ cert: newer.cert, key: good.key }) }), held);
  expect(broken).toMatchObject({ certificate: good.cert, key: good.key, roots: undefined });
  expect(broken && refusal(broken)).toBe(
    "has a key that is not its certificate's: what it held before stays",
  );
  const worse = translateCredential(secret(pair({ cert: "no", key: "no" })), broken);
  expect(worse).toMatchObject({ certificate: good.cert, key: good.key });
  const mended = translateCredential(secret(pair(newer)), worse);
  expect(mended).toMatchObject({ certificate: newer.cert, key: newer.key });
  expect(mended && refusal(mended)).toBeUndefined();
});

test("roots that cannot be read leave those from before; what is taken away is gone", () => {
  const broken = translateCredential(secret({ ...pair(newer), "ca.crt": "no" }), held);
  expect(broken).toMatchObject({
    certificate: newer.cert,
    roots: good.root,
    refused: "has roots that are no PEM certificates",
  });
  expect(translateCredential(secret(pair(newer)), held)).toMatchObject({ roots: undefined });
  expect(translateCredential(secret({}), held)).toBeUndefined();
});

test("a certificate that was never good stays what it is", () => {
  const first = translateCredential(secret(pair({ cert: "no", key: "no" })));
  const second = translateCredential(secret(pair({ cert: "no", key: "neither" })), first);
  expect(second && credentialFault(second)).toBe("has a certificate that is no PEM certificate");
  expect(second && refusal(second)).toBeUndefined();
});
