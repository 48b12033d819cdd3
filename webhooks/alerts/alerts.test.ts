import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import type { Alert, AlertReceiver, Severity } from "../../api/hooks.ts";
import type { AlertProvider } from "../../api/kinds.ts";
import { createAddressGuard } from "../../lib/address-guard.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { alertRequest, type Destination } from "./message.ts";
import { type Alerts, createAlerts } from "./send.ts";

let server: Server | undefined;
let alerts: Alerts | undefined;

afterEach(async () => {
  await alerts?.close();
  server?.closeAllConnections();
  server?.close();
});

interface Received {
  readonly body: unknown;
  readonly authorization: string | undefined;
}

/** A receiver that answers with the given codes in turn, the last for ever. */
async function receiver(...codes: readonly number[]) {
  const received: Received[] = [];
  server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on("end", () => {
      received.push({ body: JSON.parse(text), authorization: request.headers.authorization });
      response.writeHead(codes[Math.min(received.length, codes.length) - 1] ?? 200).end();
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, received };
}

function alert(severity: Severity, receivers: readonly AlertReceiver[] = [wants("info")]): Alert {
  return {
    canary: { namespace: "demo", name: "shop", uid: "1" },
    receivers,
    severity,
    message: `it is ${severity}`,
    fields: [{ name: "Target", value: "Deployment/shop.demo" }],
  };
}

function wants(severity: Severity): AlertReceiver {
  return { severity, provider: { namespace: "demo", name: "chat" } };
}

function provider(spec: AlertProvider["spec"]): AlertProvider {
  return {
    apiVersion: "flagger.app/v1beta1",
    kind: "AlertProvider",
    metadata: { namespace: "demo", name: "chat" },
    spec,
  };
}

function start(
  spec: AlertProvider["spec"],
  options: { secret?: Record<string, string>; loopback?: boolean } = {},
) {
  alerts = createAlerts({
    // Retries wait for no one here.
    clock: { ...systemClock, after: (delay, callback) => systemClock.after(delay / 100, callback) },
    logger: silent,
    guard: createAddressGuard({ loopback: options.loopback ?? true }),
    provider: () => provider(spec),
    secret: () => options.secret && new Map(Object.entries(options.secret)),
  });
  return alerts;
}

test("Slack gets Flagger's message; the Secret's address and token win", async () => {
  const { url, received } = await receiver(200);
  const sender = start(
    { type: "slack", channel: "releases", address: "http://127.0.0.1:1/", secretRef: { name: "s" } },
    { secret: { address: url, token: "t0ken" } },
  );
  sender.send(alert("error"));
  await vi.waitUntil(() => received.length === 1);
  expect(received[0]).toEqual({
    authorization: "Bearer t0ken",
    body: {
      channel: "releases",
      username: "flagger",
      icon_emoji: ":rocket:",
      attachments: [
        {
          color: "danger",
          author_name: "shop.demo",
          text: "it is error",
          mrkdwn_in: ["text"],
          fields: [{ title: "Target", value: "Deployment/shop.demo", short: false }],
        },
      ],
    },
  });
});

test("who wants warnings gets no news, but warnings and errors, in their order", async () => {
  const { url, received } = await receiver(200);
  const sender = start({ type: "webhook", address: url });
  for (const severity of ["info", "warn", "error"] as const) sender.send(alert(severity, [wants("warn")]));
  await vi.waitUntil(() => received.length === 2);
  expect(received.map(({ body }) => (body as { severity: string }).severity)).toEqual(["warn", "error"]);
  expect(received[0]?.body).toEqual({
    name: "shop",
    namespace: "demo",
    severity: "warn",
    message: "it is warn",
    fields: { Target: "Deployment/shop.demo" },
  });
});

test("a receiver that fails is tried again", async () => {
  const { url, received } = await receiver(503, 200);
  start({ type: "webhook", address: url }).send(alert("error"));
  await vi.waitUntil(() => received.length === 2);
});

test("addresses of this machine are not asked in a cluster", async () => {
  const { url, received } = await receiver(200);
  const sender = start({ type: "webhook", address: url }, { loopback: false });
  sender.send(alert("error"));
  sender.send(alert("error"));
  await new Promise((resolve) => setImmediate(resolve));
  expect(received).toEqual([]);
});

const to = (type: Destination["type"]): Destination => ({
  type,
  address: "https://chat.example/hook",
  channel: "general",
  username: "flagger",
});

test.for([
  ["discord", "https://chat.example/hook/slack", "good"],
  ["rocket", "https://chat.example/hook", "#0076D7"],
] as const)("%s takes Slack's form", ([type, url, color]) => {
  expect(alertRequest(to(type), alert("info"))).toMatchObject({ url, body: { attachments: [{ color }] } });
});

test("Teams and Google Chat get cards", () => {
  expect(alertRequest(to("msteams"), alert("error")).body).toMatchObject({
    "@type": "MessageCard",
    themeColor: "FF0000",
    summary: "shop.demo",
    sections: [{ activityTitle: "it is error", facts: [{ name: "Target", value: "Deployment/shop.demo" }] }],
  });
  expect(alertRequest(to("gchat"), alert("info")).body).toMatchObject({
    cards: [{ header: { subtitle: "shop.demo" } }],
  });
});
