/**
 * Waits until `look` gives something other than undefined or false, looking each 20 ms.
 *
 * @throws with `what` after `timeout` milliseconds
 */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  timeout = 15_000,
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + timeout;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>;
    if (performance.now() > deadline) throw new Error(`not within ${timeout} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
