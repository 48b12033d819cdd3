/** Runs one of the image's two programs; resolves with its exit code. */
export type AgentProgram = (env: NodeJS.ProcessEnv) => Promise<number>;

/**
 * What the sidecar's image does: `[agent] iptables …` is the init container, anything else the sidecar.
 *
 * Each part is loaded only when asked for: every pod pays for it.
 *
 * @returns the program, with all that it is made of loaded
 */
export async function loadAgent(argv: readonly string[]): Promise<AgentProgram> {
  const words = argv[0] === "agent" ? argv.slice(1) : argv;
  if (words[0] === "iptables") {
    const { runIptables } = await import("./iptables/command.ts");
    return (env) => runIptables(words.slice(1), env);
  }
  const { runAgent } = await import("./run.ts");
  return (env) => runAgent(env, words);
}
