import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

// In the package this file stands in dist/cli/up, and the program where `bin` names it.
const places = ["../bin/fairlead.js", "../../../cli/bin/fairlead.js"];
const [inCheckout = "", inPackage = ""] = places.map((place) =>
  fileURLToPath(new URL(place, import.meta.url)),
);

/** The file to start fairlead by, from a checkout as from the package. */
export const programFile: string = existsSync(inCheckout) ? inCheckout : inPackage;

/**
 * Flags of Node for the control plane. Its requests leave little behind: with V8's usual young generation (up to three
 * times 32 MB) it takes a third more memory and is no faster. Left to itself V8 lets the old generation grow to three and
 * four times what lives in it before it collects: with half as much again it takes no more processor time, as one that
 * watches many objects hardly makes old garbage.
 */
export const memoryFlags: readonly string[] = ["--max-semi-space-size=8", "--heap-growing-percent=50"];

/**
 * Variables of glibc for the control plane. Left to itself it takes large buffers from a heap that it hardly ever gives
 * back: when 1,000 sidecars connect at once 440 MB stay. The program takes them out of its own environment, so its
 * children do not see them.
 */
export const memoryVariables: Readonly<Record<string, string>> = {
  MALLOC_MMAP_THRESHOLD_: "131072",
  MALLOC_TRIM_THRESHOLD_: "131072",
};
