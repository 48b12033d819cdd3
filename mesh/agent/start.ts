/**
 * What the sidecar's image does: `[agent] iptables …` is the init container, anything else the sidecar.
 *
 * Each part is loaded only when asked for: every pod pays for it.
 *
 * @returns the exit code
 */
export async function startAgent(env: NodeJS.ProcessEnv, argv: readonly string[]): Promise<number> {
  const words = argv[0] === "agent" ? argv.slice(1) : argv;
  if (words[0] === "iptables") {
    const { runIptables } = await import("./iptables/command.ts");
    return runIptables(words.slice(1), env);
  }
  const { runAgent } = await import("./run.ts");
  return runAgent(env, words);
}
