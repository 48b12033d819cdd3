import { styleText } from "node:util";

export type Colour = "red" | "green" | "yellow" | "cyan" | "dim" | "bold";

/** `text` in a colour where stdout is a terminal that shows it; plain elsewhere and with NO_COLOR. */
export function paint(colour: Colour, text: string): string {
  return styleText(colour, text, { stream: process.stdout });
}
