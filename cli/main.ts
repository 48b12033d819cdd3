/** The program's entry. It loads what the command needs and nothing else: each sidecar pays for what stands here. */
// Who reads only the first lines (`| head`) has seen enough: no failure of ours. A command may have its own way to end.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (process.stdout.listenerCount("error") > 1) return;
  if (error.code !== "EPIPE") throw error;
  process.exit(process.exitCode ?? 0);
});

const [verb, ...rest] = process.argv.slice(2);

if (verb === "agent" && !rest.includes("--help") && !rest.includes("-h")) {
  const { agent } = await import("./commands/agent.ts");
  process.exitCode = await agent(rest);
} else {
  const { runProgram } = await import("./program.ts");
  process.exitCode = await runProgram(process.argv.slice(2));
}
