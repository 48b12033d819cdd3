import type { Socket } from "node:net";

/** Milliseconds from one burst to the next. */
const burstEvery = 250;
/** Bursts from one report of a proxy to the next, which comes after a second. */
const pause = 4;

/** What Node keeps under a socket. Held here, the kernel keeps what comes; `pause()` would still read it. */
interface Handle {
  readStart(): unknown;
  readStop(): unknown;
}

/**
 * Lets connections that bring something each second be read in bursts.
 *
 * To wake up, and to bring code and data into the processor's caches, costs more than a report does: many at once cost
 * less than each alone. So a connection that has brought its report is not read until the next is due, at the same moment
 * as others. What it brings waits a quarter of a second at most, or not at all where it is late.
 */
export class Bursts {
  /** Held connections by the burst that reads them again. */
  private readonly slots: HeldConnection[][] = Array.from({ length: pause + 2 }, () => []);
  private burst = 0;
  /** Whether what is read now was waiting for the burst. */
  private reading = false;
  private readonly timer: NodeJS.Timeout;

  constructor() {
    this.timer = setInterval(() => this.next(), burstEvery).unref();
  }

  /** What a connection is held by: until its next report is due it is not read any more. */
  holdOf(socket: Socket): () => void {
    const connection: HeldConnection = { socket, held: false };
    return () => {
      const handle = handleOf(socket);
      if (connection.held || handle === undefined) return;
      handle.readStop();
      connection.held = true;
      // One that came between bursts is late by a little: it shall wait for the burst after its next.
      this.slots[(this.burst + (this.reading ? pause : pause + 1)) % this.slots.length]?.push(connection);
    };
  }

  close(): void {
    clearInterval(this.timer);
  }

  private next(): void {
    this.burst += 1;
    const due = this.slots[this.burst % this.slots.length] ?? [];
    for (const connection of due) {
      connection.held = false;
      if (!connection.socket.destroyed) handleOf(connection.socket)?.readStart();
    }
    due.length = 0;
    this.reading = true;
    // Comes after the event loop has read what is there.
    setImmediate(() => {
      this.reading = false;
    });
  }
}

interface HeldConnection {
  readonly socket: Socket;
  held: boolean;
}

/** Node has no public way to hold a socket; should a version of it lack this one, each report is read as it comes. */
function handleOf(socket: Socket): Handle | undefined {
  const handle: unknown = Reflect.get(socket, "_handle");
  return isHandle(handle) ? handle : undefined;
}

function isHandle(value: unknown): value is Handle {
  return (
    typeof value === "object" &&
    value !== null &&
    "readStart" in value &&
    typeof value.readStart === "function" &&
    "readStop" in value &&
    typeof value.readStop === "function"
  );
}
