import { availableParallelism, totalmem } from "node:os";
import type { Container } from "./container.ts";
import { parseQuantity } from "./quantity.ts";

/**
 * The value of a `resourceFieldRef`: what the container's resources say, rounded up to the divisor.
 *
 * Without a limit it is the whole machine, as on a node.
 * @returns undefined for a resource other than cpu and memory
 */
export function readResource(
  { resources }: Pick<Container, "resources">,
  resource: string,
  divisor = "1",
): string | undefined {
  const [side, name] = resource.split(".");
  if ((name !== "cpu" && name !== "memory") || (side !== "limits" && side !== "requests")) return undefined;
  const text = (side === "limits" ? resources?.limits : resources?.requests)?.[name];
  const whole = name === "cpu" ? availableParallelism() : totalmem();
  const value = (text && parseQuantity(text)) || (side === "limits" ? whole : 0);
  const unit = parseQuantity(divisor === "0" ? "1" : divisor) ?? 1;
  return String(Math.ceil(value / unit));
}
