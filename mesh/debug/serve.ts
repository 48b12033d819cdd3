import type { Client } from "../../kube/contract.ts";
import type { Mesh } from "../contract.ts";
import { authorizeDebug } from "./authorize.ts";
import { debugPage, debugPaths, type Page } from "./pages.ts";

/** Answers one request for a debug page; undefined: the path is none of them. */
export type AnswerDebug = (
  path: string,
  parameters: URLSearchParams,
  authorization: string | undefined,
) => Promise<Page | undefined>;

/** The debug pages of a mesh, for whom the API server lets `get` them. */
export function createDebug(mesh: Pick<Mesh, "inspect" | "model">, client: Client): AnswerDebug {
  return async (path, parameters, authorization) => {
    if (!debugPaths.includes(path)) return undefined;
    const refused = await authorizeDebug(client, authorization, path);
    if (refused !== undefined) return { status: refused.status, body: refused.message };
    return debugPage(mesh, path, parameters);
  };
}
