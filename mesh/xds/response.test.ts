import { expect, test } from "vitest";
import { createResponses } from "./response.ts";

test("streams that are told the same share one encoding, until it is let go of; its nonce stays", () => {
  const responses = createResponses();
  const tell = () => responses.delta("cluster", [], ["gone"]);
  const first = tell();
  expect(tell()).toBe(first);
  responses.forget();
  const again = tell();
  expect(again).not.toBe(first);
  expect(again).toEqual(first);
});
