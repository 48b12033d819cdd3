/** Cuts a line to a terminal's width; colour codes take none. */
export function clip(line: string, width: number): string {
  let visible = 0;
  let out = "";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ANSI colours begin with ESC
  for (const part of line.split(/(\u001b\[[0-9;]*m)/)) {
    if (part.startsWith("\u001b[")) out += part;
    else {
      const rest = Array.from(part).slice(0, Math.max(0, width - visible));
      visible += rest.length;
      out += rest.join("");
    }
  }
  return out;
}
