import { type Answer, request } from "./http.ts";

/** What the agent asks of its Envoy. */
export class EnvoyAdmin {
  readonly #host: string;
  readonly #port: number;

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  get(path: string, timeout = 1_000): Promise<Answer> {
    return request({ host: this.#host, port: this.#port, path, timeout });
  }

  async post(path: string): Promise<void> {
    const { status } = await request({ host: this.#host, port: this.#port, path, method: "POST" });
    if (status !== 200) throw new Error(`envoy answered ${status} to ${path}`);
  }

  /** The numbers whose names match `filter` (RE2). Unused counters count as 0 and are left out by Envoy's matcher only. */
  async numbers(filter: string): Promise<Map<string, number>> {
    const { status, body } = await this.get(`/stats?filter=${encodeURIComponent(filter)}`);
    if (status !== 200) throw new Error(`envoy answered ${status} to /stats`);
    return readNumbers(body);
  }
}

/** Envoy's plain statistics: `name: value` a line; histograms and text are passed over. */
export function readNumbers(page: string): Map<string, number> {
  const numbers = new Map<string, number>();
  for (const line of page.split("\n")) {
    const [, name, value] = /^(.+): (\d+)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) numbers.set(name, Number(value));
  }
  return numbers;
}
