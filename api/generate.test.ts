import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { generate } from "./generate.ts";

const generated = new URL("./generated/", import.meta.url);

test("api/generated is what the CRDs say (else: npm run generate)", async () => {
  const files = await generate();
  expect(readdirSync(generated).sort()).toEqual([...files.keys()].sort());
  for (const [name, text] of files) expect(readFileSync(new URL(name, generated), "utf8")).toBe(text);
});
