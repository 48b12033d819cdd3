/** Takes what ends a part that has been started. */
export type Ends = (end: () => Promise<void> | void) => void;

/**
 * Starts parts in order and ends them in the reverse one: by `close` of the answer, or at once where a later part fails.
 *
 * @throws what `start` throws
 */
export async function endInOrder<T extends object>(
  start: (atEnd: Ends) => Promise<T>,
): Promise<T & { close(): Promise<void> }> {
  const ends: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    return { ...(await start((end) => ends.push(end))), close };
  } catch (error) {
    await close();
    throw error;
  }
}
