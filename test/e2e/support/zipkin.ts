/** A real Zipkin server, from Maven Central: fetched once into Maven's own folder, where Java and Maven are installed. */
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { until } from "../../../local/testing/until.ts";
import { freePort } from "../../support/envoy.ts";

const run = promisify(execFile);
const version = "3.5.1";
/** Maven's own default, but by $HOME, which it does not look at. */
const repository = join(homedir(), ".m2/repository");
const jar = join(repository, `io/zipkin/zipkin-server/${version}/zipkin-server-${version}-slim.jar`);

/** As Zipkin's API gives it, in what these tests read. @see https://zipkin.io/zipkin-api */
export interface ZipkinSpan {
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly kind?: string;
  readonly localEndpoint?: { readonly serviceName?: string };
  readonly tags?: Readonly<Record<string, string>>;
}

async function missing(): Promise<string | undefined> {
  if (existsSync(jar)) return run("java", ["-version"]).then(() => undefined, String);
  const artifact = `-Dartifact=io.zipkin:zipkin-server:${version}:jar:slim`;
  const local = `-Dmaven.repo.local=${repository}`;
  const args = ["-q", "-B", local, "dependency:get", "-Dtransitive=false", artifact];
  return run("mvn", args, { timeout: 180_000 }).then(
    () => undefined,
    (error: unknown) => `no Zipkin without Java, Maven and its repository: ${String(error).split("\n")[0]}`,
  );
}

/** Why there is no Zipkin on this machine; undefined: there is. */
export const zipkinMissing = await missing();

/** Starts it on a free port of every address; its spans are in memory. */
export async function startZipkin() {
  const port = await freePort();
  const server = spawn("java", ["-Xmx256m", "-jar", jar], {
    env: { ...process.env, QUERY_PORT: String(port), STORAGE_TYPE: "mem" },
    stdio: "ignore",
  });
  const api = `http://127.0.0.1:${port}`;
  const answers = () =>
    fetch(`${api}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  const stop = async (): Promise<void> => {
    const exited = new Promise((resolve) => server.once("exit", resolve));
    if (server.kill("SIGKILL")) await exited;
  };
  await until("Zipkin starts", answers, 60_000).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    port,
    /** Its traces, each with the spans that have arrived. */
    async traces(): Promise<readonly (readonly ZipkinSpan[])[]> {
      const response = await fetch(`${api}/api/v2/traces?limit=100`);
      return (await response.json()) as ZipkinSpan[][];
    },
    stop,
  };
}
