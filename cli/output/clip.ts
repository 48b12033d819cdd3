// biome-ignore lint/suspicious/noControlCharactersInRegex: ANSI colours begin with ESC
const colours = /(\u001b\[[0-9;]*m)/;

function plain(line: string): string {
  return line
    .split(colours)
    .filter((part) => !part.startsWith("\u001b["))
    .join("");
}

/** Cuts a line to a terminal's width, where it is longer with `…` at its end; colour codes take none. */
export function clip(line: string, width: number): string {
  const most = Array.from(plain(line)).length > width ? width - 1 : width;
  let visible = 0;
  let out = "";
  for (const part of line.split(colours)) {
    if (part.startsWith("\u001b[")) out += part;
    else {
      const rest = Array.from(part).slice(0, Math.max(0, most - visible));
      visible += rest.length;
      out += rest.join("");
    }
  }
  return most < width ? `${out}…` : out;
}
