/** Without the fields that are undefined. */
export function present<T extends object>(fields: T): { [Field in keyof T]?: Exclude<T[Field], undefined> } {
  const kept = {};
  for (const [field, value] of Object.entries(fields)) {
    if (value !== undefined) Object.assign(kept, { [field]: value });
  }
  return kept;
}
