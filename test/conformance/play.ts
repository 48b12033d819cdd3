/** Sends a scenario to one server, step by step, and keeps its normalised answers. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Dispatcher, request } from "undici";
import { parse as parseYaml, stringify } from "yaml";
import { openShell, type Shell, shown } from "./command.ts";
import type { Scenario, Step } from "./corpus.ts";
import { normalise } from "./normalise.ts";
import type { Server } from "./servers.ts";
import type { Webhook } from "./webhook.ts";

/** What is compared of one step. */
export interface Answer {
  readonly step: string;
  readonly compared: boolean;
  readonly value: unknown;
}

interface Received {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: unknown;
}

interface Running {
  readonly server: Server;
  readonly saved: Map<string, string>;
  readonly own: Map<string, string>;
}

/** Plays the scenario; the events of its watches stand at the end. */
export async function play(scenario: Scenario, server: Server, webhook: Webhook): Promise<Answer[]> {
  const namespace = `c-${scenario.name.replace(/[^a-z0-9-]/g, "-")}`;
  const host = new URL(server.url).host;
  const running: Running = {
    server,
    saved: new Map([
      ["ns", namespace],
      ["webhook", webhook.url],
      ["ca", webhook.caBundle],
      ["repo", join(import.meta.dirname, "..", "..")],
    ]),
    own: new Map([[host, "<server>"]]),
  };
  if (scenario.namespace) await makeNamespace(running, namespace);
  const shell = scenario.steps.some(({ run }) => run !== undefined) ? await openShell(server) : undefined;
  for (const [name, content] of Object.entries(scenario.files)) await shell?.write(name, content);
  const answers: Answer[] = [];
  const watches: Promise<Answer>[] = [];
  for (const step of scenario.steps) {
    if (step.events !== undefined) {
      watches.push((await follow(running, step, step.events)).answer);
      continue;
    }
    if (step.run !== undefined) {
      if (shell !== undefined) answers.push(await runCommand(running, step, step.run, shell));
      continue;
    }
    const received = await sendUntil(running, step);
    for (const [name, path] of Object.entries(step.save ?? {}))
      running.saved.set(name, String(valueAt(received.body, path)));
    answers.push({
      step: step.name,
      compared: step.setup !== true,
      value: compared(running, step, received),
    });
  }
  answers.push(...(await Promise.all(watches)));
  await shell?.close();
  return answers;
}

async function runCommand(running: Running, step: Step, line: string, shell: Shell): Promise<Answer> {
  const input = step.input?.map((object): unknown => JSON.parse(filled(running, JSON.stringify(object))));
  const value = normalise(shown(await shell.run(filled(running, line), input)), running.own);
  return { step: step.name, compared: step.setup !== true, value };
}

async function makeNamespace(running: Running, name: string): Promise<void> {
  await send(running, {
    name: "",
    request: "POST /api/v1/namespaces",
    body: { metadata: { name } },
  });
  // Pods are only taken where the namespace has its service account.
  await sendUntil(running, {
    name: "",
    request: "GET /api/v1/namespaces/$ns/serviceaccounts/default",
    until: { status: 200 },
  });
  await sendUntil(running, {
    name: "",
    request: "GET /api/v1/namespaces/$ns/configmaps/kube-root-ca.crt",
    until: { status: 200 },
  });
}

async function sendUntil(running: Running, step: Step): Promise<Received> {
  for (const end = performance.now() + 10_000; ; await sleep(50)) {
    const received = await send(running, step);
    const wanted = Object.entries(step.until ?? {});
    const so = wanted.every(([path, value]) =>
      path === "status" ? received.status === value : valueAt(received.body, path) === value,
    );
    if (so || performance.now() > end) return received;
  }
}

async function send(running: Running, step: Step): Promise<Received> {
  try {
    return await receive(running, step);
  } catch (error) {
    throw new Error(`${step.name}: the ${running.server.name} server did not answer`, { cause: error });
  }
}

async function receive(running: Running, step: Step): Promise<Received> {
  const { statusCode, headers, body } = await open(running, step, AbortSignal.timeout(20_000));
  const text = await body.text();
  return { status: statusCode, headers, body: parseBody(text, String(headers["content-type"] ?? "")) };
}

function parseBody(text: string, type: string): unknown {
  if (type.includes("yaml")) return parseYaml(text);
  if (!type.includes("json")) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function filled({ saved }: Running, text: string): string {
  return text.replace(/\$(\w+)/g, (whole, name: string) => saved.get(name) ?? whole);
}

function open(running: Running, step: Step, signal?: AbortSignal): Promise<Dispatcher.ResponseData> {
  const { server } = running;
  const [method = "GET", path = "/"] = filled(running, step.request).split(" ");
  const type = step.headers?.["content-type"] ?? "application/json";
  const body = bodyOf(running, step, type);
  const { dispatcher, headers } = asWhom(running, step.as ?? "admin");
  return request(`${server.url}${path}`, {
    method: method as Dispatcher.HttpMethod,
    dispatcher,
    headers: {
      accept: "application/json",
      "user-agent": "conformance/1",
      ...(body === undefined ? {} : { "content-type": type }),
      ...headers,
      ...step.headers,
    },
    body: body ?? null,
    headersTimeout: 20_000,
    bodyTimeout: 0,
    ...(signal === undefined ? {} : { signal }),
  });
}

function bodyOf(running: Running, step: Step, type: string): string | Buffer | undefined {
  if (step.text !== undefined) return filled(running, step.text);
  if (step.base64 !== undefined) return Buffer.from(step.base64, "base64");
  if (step.size !== undefined) {
    const head = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"big"},"data":{"a":"';
    return `${head}${"x".repeat(step.size - head.length - 3)}"}}`;
  }
  if (step.annotations !== undefined) {
    const a = "x".repeat(step.annotations - 1);
    return JSON.stringify({ metadata: { name: `notes-${step.annotations}`, annotations: { a } } });
  }
  if (step.nesting !== undefined) return `${"[".repeat(step.nesting)}${"]".repeat(step.nesting)}`;
  if (step.body === undefined) return undefined;
  return filled(running, type.includes("yaml") ? stringify(step.body) : JSON.stringify(step.body));
}

function asWhom(
  { server, saved }: Running,
  who: string,
): { dispatcher: Dispatcher; headers: Record<string, string | string[]> } {
  if (who === "anonymous") return { dispatcher: server.plain, headers: {} };
  if (who === "admin") return { dispatcher: server.admin, headers: { ...server.headers } };
  if (who.startsWith("token:")) {
    const token = saved.get(who.slice(6)) ?? who.slice(6);
    return { dispatcher: server.plain, headers: { authorization: `Bearer ${token}` } };
  }
  const [user = "", ...groups] = who.split("/");
  return {
    dispatcher: server.admin,
    headers: {
      ...server.headers,
      "impersonate-user": user,
      ...(groups.length === 0 ? {} : { "impersonate-group": groups }),
    },
  };
}

/** Opens a watch now; `answer` is its first `count` events, once they are there. */
async function follow(
  running: Running,
  step: Step,
  count: number,
): Promise<{ readonly answer: Promise<Answer> }> {
  const { body, statusCode } = await open(running, step);
  let ended = false;
  const stop = () => {
    ended = true;
    body.destroy();
  };
  const read = async (): Promise<Answer> => {
    const events: unknown[] = [];
    const timer = setTimeout(stop, 15_000);
    let rest = "";
    try {
      for await (const chunk of body) {
        rest += String(chunk);
        const lines = rest.split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (line !== "") events.push(parseBody(line, "json"));
        if (events.length >= count) break;
      }
      // A refusal is one text, without a line's end.
      if (events.length === 0 && rest !== "") events.push(parseBody(rest, "json"));
    } catch (error) {
      if (!ended) throw error;
    } finally {
      clearTimeout(timer);
      stop();
    }
    const value = normalise({ status: statusCode, events: events.slice(0, count) }, running.own);
    return { step: step.name, compared: true, value };
  };
  const answer = read();
  // Awaited at the end of the scenario: it is not unhandled until then.
  answer.catch(() => undefined);
  return { answer };
}

/** Follows `a.b.0.c`; a dot inside a name is written `\.`. */
export function valueAt(value: unknown, path: string): unknown {
  let current = value;
  for (const name of path.split(/(?<!\\)\./).map((part) => part.replaceAll("\\.", "."))) {
    if (typeof current !== "object" || current === null) return undefined;
    current = Reflect.get(current, name);
  }
  return current;
}

const comparedHeaders = ["content-type", "warning", "retry-after"];

function compared(running: Running, step: Step, { status, headers, body }: Received): unknown {
  const same = Object.entries(step.same ?? {}).map(([path, name]) => [
    `${path} is {${name}}`,
    String(valueAt(body, path)) === running.saved.get(name),
  ]);
  const outcome = same.length === 0 ? {} : { same: Object.fromEntries(same) };
  if (step.compare === "status") return { status, ...outcome };
  const kept = Object.fromEntries(
    comparedHeaders.filter((name) => headers[name] !== undefined).map((name) => [name, headers[name]]),
  );
  const shown =
    step.compare === undefined
      ? body
      : Object.fromEntries(step.compare.map((path) => [path, valueAt(body, path) ?? null]));
  return normalise({ status, headers: kept, body: shown, ...outcome }, running.own);
}
