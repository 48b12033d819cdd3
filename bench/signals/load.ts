/** Open-loop load: `rate` requests a second over keep-alive connections to one port at a time. */
import { Agent, get } from "node:http";

/** The port to send to (0: none) and how many a second. */
export interface LoadOrder {
  readonly port: number;
  readonly rate: number;
}

export interface LoadAnswer {
  readonly sent: number;
  /** Epoch milliseconds of the first failed answer since the order before; 0: none. */
  readonly firstFailureAt: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 16 });
let order: LoadOrder = { port: 0, rate: 0 };
let began = performance.now();
let sent = 0;
let firstFailureAt = 0;

function send(port: number): void {
  const failed = () => {
    if (firstFailureAt === 0) firstFailureAt = Date.now();
  };
  get({ host: "127.0.0.1", port, agent }, (response) => {
    if ((response.statusCode ?? 500) >= 500) failed();
    response.resume();
  }).on("error", failed);
}

setInterval(() => {
  if (order.port === 0) return;
  const due = Math.floor(((performance.now() - began) / 1000) * order.rate);
  for (; sent < due; sent++) send(order.port);
}, 5);

process.on("message", (next: LoadOrder) => {
  const answer: LoadAnswer = { sent, firstFailureAt };
  order = next;
  began = performance.now();
  sent = 0;
  firstFailureAt = 0;
  process.send?.(answer);
});
