import { ApiError } from "../kube/error.ts";

/** What the user typed cannot be done: exit code 2, no stack. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export interface Failure {
  /** One line; with the stack below it where it was asked for. */
  readonly text: string;
  readonly exitCode: number;
}

/** An error as the user reads it: what happened and what to do. */
export function describeFailure(error: unknown, verbose: boolean): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const stack = verbose && error instanceof Error ? `\n${error.stack ?? ""}` : "";
  const line = firstLine(message) + hint(error);
  return { text: line + stack, exitCode: error instanceof UsageError ? 2 : 1 };
}

/** Why a file that the user named cannot be read, in words of its own for what happens often. */
export function describeFileError(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT" || code === "ENOTDIR") return "it does not exist";
  if (code === "EISDIR") return "it is a folder";
  if (code === "EACCES" || code === "EPERM") return "you may not read it";
  return error instanceof Error ? error.message : String(error);
}

function hint(error: unknown): string {
  if (!(error instanceof ApiError)) return "";
  if (error.reason === "Unreachable")
    return "; is it running? `fairlead status` tells, `fairlead up` starts one";
  if (error.status === 401) return "; the kubeconfig's credentials are not accepted";
  if (error.status === 404 && error.message.includes("requested resource"))
    return "; are fairlead's CRDs installed?";
  return "";
}

function firstLine(text: string): string {
  return text.trim().replace(/\s*\n[\s\S]*/, "");
}
