import { fileURLToPath } from "node:url";

/** The file to start fairlead by, from a checkout as from the package. */
export const programFile: string = fileURLToPath(new URL("../bin/fairlead.js", import.meta.url));
