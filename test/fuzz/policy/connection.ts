import type { Socket } from "node:net";
import { type Dial, open } from "../../../policy/harness/client.ts";

export interface Head {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

/** One connection that asks one request after the other, and dials again where it was closed. */
export class Connection {
  private readonly dial: Dial;
  private socket: Promise<Socket> | undefined;
  private received = "";
  private waiting: ((head: Head) => void) | undefined;

  constructor(dial: Dial) {
    this.dial = dial;
  }

  async ask(bytes: Buffer): Promise<Head> {
    this.socket ??= this.connect();
    const socket = await this.socket;
    return new Promise((resolve) => {
      this.waiting = resolve;
      socket.write(bytes);
    });
  }

  close(): void {
    void this.socket?.then((socket) => socket.destroy());
  }

  private async connect(): Promise<Socket> {
    const socket = await open(this.dial);
    this.received = "";
    socket.on("data", (data) => {
      this.received += data.toString("latin1");
      this.read();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.socket = undefined;
      this.answer({ status: 0, headers: new Map() });
    });
    return socket;
  }

  private read(): void {
    const end = this.received.indexOf("\r\n\r\n");
    if (end < 0) return;
    const [first = "", ...lines] = this.received.slice(0, end).split("\r\n");
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
      }),
    );
    const length = end + 4 + Number(headers.get("content-length") ?? 0);
    if (this.received.length < length) return;
    this.received = this.received.slice(length);
    const head = { status: Number(first.split(" ")[1]), headers };
    if (headers.get("connection") === "close") {
      const old = this.socket;
      this.socket = undefined;
      void old?.then((socket) => {
        socket.removeAllListeners("close");
        socket.destroy();
      });
    }
    this.answer(head);
  }

  private answer(head: Head): void {
    const waiting = this.waiting;
    this.waiting = undefined;
    waiting?.(head);
  }
}
