/** docs/gateway-api.md claims features, each with its test: both must exist, and be all that the GatewayClass says. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { supportedFeatures } from "./features.ts";

const root = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** The rows of the document's table of claims. */
const [claims = ""] = read("docs/gateway-api.md").split("## What is not there");
const rows = claims
  .split("\n")
  .filter((line) => line.startsWith("| ") && !/^\| (feature|-)/.test(line))
  .map((line) => {
    const [feature = "", proof = ""] = line
      .split("|")
      .slice(1)
      .map((cell) => cell.trim());
    return { feature, proof };
  });

/** Titles of the tests of a file. */
const titlesOf = (path: string): readonly string[] =>
  [...read(path).matchAll(/\btest(?:\.\w+)*\(\s*"([^"]+)"/g)].map(([, title = ""]) => title);

test.for(rows.map(({ feature, proof }) => [feature, proof] as const))("%s: %s", ([, proof]) => {
  const sentences = ["gateway-api", "gateway-listeners"].flatMap((name) =>
    titlesOf(`test/e2e/${name}.test.ts`),
  );
  for (const part of proof.split("; ")) {
    const file = /`(test\/[^`]+\.test\.ts)`/.exec(part)?.[1];
    const golden = /^golden `([^`]+)`$/.exec(part)?.[1];
    if (file !== undefined) expect(titlesOf(file)).not.toEqual([]);
    else if (golden !== undefined)
      expect(existsSync(join(root, `mesh/testdata/${golden}.in.yaml`))).toBe(true);
  }
  // A sentence may hold semicolons of its own.
  const sentence = proof.replace(/; golden `[^`]+`$/, "");
  if (!/^golden `|`test\//.test(sentence)) expect(sentences).toContain(sentence);
});

test("each feature that the GatewayClass names is a row's, and no row names another", () => {
  const named = rows.flatMap(({ feature }) => feature.split(/[,;:() ]+/));
  expect(supportedFeatures.filter((name) => !named.includes(name))).toEqual([]);
  const claimed = named.filter((word) => /^(Gateway|HTTPRoute|GRPCRoute|TLSRoute|Mesh)[A-Z]\w*$/.test(word));
  // The object's kind, and not a feature.
  const known = new Set<string>([...supportedFeatures, "GatewayClass"]);
  expect(claimed.filter((name) => !known.has(name))).toEqual([]);
});
