/**
 * The vectors of JSON Web Signature of Project Wycheproof (github.com/c2sp/wycheproof, Apache 2.0,
 * testvectors_v1/json_web_signature_test.json of 2026-09-02), a group a line.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { decodeBase64url } from "./base64url.ts";
import { readKeySet } from "./key-set.ts";
import { verifySignature } from "./signature.ts";
import { isWrong, readSigned } from "./token.ts";

interface Vector {
  readonly id: number;
  readonly comment: string;
  readonly jws: string;
  readonly result: "valid" | "invalid";
  readonly flags: readonly string[];
}

interface Group {
  readonly comment: string;
  readonly key: object;
  readonly tests: readonly Vector[];
}

const groups = readFileSync(join(import.meta.dirname, "testdata/wycheproof-jws.ndjson"), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Group);

/**
 * Where Envoy is looser than the vectors, and the evaluator with it: each was tried on a real Envoy (`own/token/` and `S26/`
 * of the cases). None lets a signature through that its key did not make.
 */
const asEnvoy: Readonly<Record<number, string>> = {
  14: "an empty part behind the signature is none",
  353: "`use` is not looked at",
  354: "`use` is not looked at",
  355: "`key_ops` is not looked at",
  356: "`key_ops` is not looked at",
  360: "blanks are skipped",
  365: "blanks are skipped",
  367: "the last bits of a part may be anything",
  368: "blanks are skipped",
  370: "the last bits of a part may be anything",
  375: "the last bits of a part may be anything",
  379: "an ECDSA signature is halved, whatever its length; zeros in front are dropped",
  385: "an ECDSA signature is halved, whatever its length; zeros in front are dropped",
};

/** Where Envoy refuses what the vectors call valid. */
const refused: Readonly<Record<number, string>> = {
  259: "a token without a payload has no claims",
  264: "a token without a payload has no claims",
  268: "a token without a payload has no claims",
  272: "a token without a payload has no claims",
  320: "a token without a payload has no claims",
  325: "a token without a payload has no claims",
  346: "the key is for PS256, the token says PS384",
  347: "`ES521` is no algorithm",
  350: "the key is for PS256, the token says PS384",
  351: "`ES521` is no algorithm",
  372: "a foreign character is no base64url",
  373: "a foreign character is no base64url",
};

function accepts(key: object, jws: string): boolean {
  const signed = readSigned(jws);
  const keys = readKeySet(JSON.stringify({ keys: [key] }));
  if (isWrong(signed) || keys === undefined || decodeBase64url(signed.payload) === undefined) return false;
  return verifySignature(signed, keys) === "ok";
}

const wanted = ({ id, result }: Vector): boolean =>
  result === "valid" ? refused[id] === undefined : asEnvoy[id] !== undefined;

test("all 401 vectors are there", () => {
  expect(groups.flatMap(({ tests }) => tests).length).toBe(401);
});

test.for(groups.map((group, index) => [`${index} ${group.comment}`, group] as const))(
  "%s",
  ([, { key, tests }]) => {
    const wrong = tests.filter((vector) => accepts(key, vector.jws) !== wanted(vector));
    expect(wrong.map(({ id, comment, result, flags }) => [id, comment, result, flags])).toEqual([]);
  },
);
