/** Cheap requests and answers: on a machine that 40 Envoys fill, what the measurement itself takes is missing there. */
import { connect, createServer, type Server, type Socket } from "node:net";

/** Where requests go. */
export interface Egress {
  readonly host: string;
  readonly port: number;
}

/** Asks one server, a request at a time, on one connection. */
export interface Asker {
  /** The body of the answer; rejects with the status where it is no 200, or why there is none. */
  readonly ask: () => Promise<string>;
  readonly close: () => void;
}

/** An answer as HTTP/1.1 writes it, with a body of known length; undefined while some of it is missing. */
function readAnswer(text: string): { readonly status: string; readonly body: string } | undefined {
  const head = text.indexOf("\r\n\r\n");
  if (head < 0) return undefined;
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0);
  const body = text.slice(head + 4);
  if (body.length < length) return undefined;
  return { status: text.slice(9, 12), body };
}

/** Connects at the first request, and again after a failure. @param host of the requests @param target of their first line */
export function createAsker({ host: address, port }: Egress, host: string, target = "/"): Asker {
  const request = `GET ${target} HTTP/1.1\r\nhost: ${host}\r\n\r\n`;
  const at = `${address}:${port}`;
  let socket: Socket | undefined;
  let waiting: { resolve: (body: string) => void; reject: (error: Error) => void } | undefined;

  function open(): Socket {
    const opened = connect(port, address).setNoDelay().setEncoding("latin1");
    let text = "";
    const end = (why: string) => {
      if (socket !== opened) return;
      socket = undefined;
      opened.destroy();
      waiting?.reject(new Error(`${at}: ${why}`));
    };
    opened.on("data", (part: string) => {
      text += part;
      const answer = readAnswer(text);
      if (answer === undefined) return;
      text = "";
      if (answer.status === "200") waiting?.resolve(answer.body);
      else waiting?.reject(new Error(`${at}: answered ${answer.status}`));
    });
    opened.on("error", (error) => end(error.message));
    opened.on("close", () => end("connection closed"));
    return opened;
  }

  return {
    ask: () =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        socket ??= open();
        socket.write(request);
      }),
    close() {
      waiting = undefined;
      socket?.destroy();
    },
  };
}

/** Answers each request with `text`, whatever is asked. */
export async function startAnswering(text: string): Promise<Server> {
  const answer = `HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
  const server = createServer((socket) => {
    socket.setNoDelay().on("error", () => socket.destroy());
    let rest = "";
    socket.setEncoding("latin1").on("data", (part: string) => {
      const requests = (rest + part).split("\r\n\r\n");
      rest = requests.pop() ?? "";
      for (const _ of requests) socket.write(answer);
    });
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return server;
}
