import { expect, test } from "vitest";
import { startTestServer } from "../testing.ts";

const events = "/api/v1/namespaces/default/events";
const hour = 3_600_000;

test("an Event goes an hour after it was last seen, and no sooner", async () => {
  let now = Date.now();
  const api = await startTestServer({ now: () => now });
  const write = (name: string) =>
    api.call("POST", events, {
      body: {
        metadata: { name },
        involvedObject: { kind: "Pod", name: "p", namespace: "default" },
        reason: "Seen",
        lastTimestamp: new Date(now).toISOString().replace(/\.\d+Z$/, "Z"),
      },
    });
  const names = async () => {
    const { body } = await api.call("GET", events);
    const items = Array.isArray(body.items) ? body.items : [];
    return items.map((item: { metadata: { name: string } }) => item.metadata.name);
  };
  try {
    await write("old");
    now += hour / 2;
    await write("seen-again");
    now += hour / 2;
    await write("new");
    await expect.poll(names).toEqual(["new", "seen-again"]);
  } finally {
    await api.close();
  }
});
