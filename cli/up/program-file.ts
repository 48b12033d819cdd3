import { fileURLToPath } from "node:url";

/** The file to start fairlead by, from a checkout as from the package. */
export const programFile: string = fileURLToPath(new URL("../bin/fairlead.js", import.meta.url));
/**
 * Flags of Node for the control plane. Its requests leave little behind: with V8's usual young generation (up to three
 * times 32 MB) it takes a third more memory and is no faster.
 */
export const memoryFlags: readonly string[] = ["--max-semi-space-size=8"];
