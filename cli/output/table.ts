import { stripVTControlCharacters } from "node:util";

export type Row = readonly string[];

/**
 * Lays rows out in columns, three spaces apart, as kubectl does.
 *
 * @returns text without a line end at its end; empty cells stay empty
 */
export function formatTable(headers: Row, rows: readonly Row[]): string {
  const widths = columnWidths([headers, ...rows]);
  return [headers, ...rows].map((row) => formatRow(row, widths)).join("\n");
}

/** The width of each column that holds all its cells. */
export function columnWidths(rows: readonly Row[]): readonly number[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: columns }, (_, column) =>
    Math.max(0, ...rows.map((row) => width(row[column] ?? ""))),
  );
}

/** One line of a table whose column widths are known: for tables that grow while they are watched. */
export function formatRow(row: Row, widths: readonly number[]): string {
  const cells = row.map(
    (cell, column) => cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - width(cell))),
  );
  return cells.join("   ").trimEnd();
}

const characters = new Intl.Segmenter();

function width(cell: string): number {
  return [...characters.segment(stripVTControlCharacters(cell))].length;
}
