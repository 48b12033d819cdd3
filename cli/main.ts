/** The program's entry. It loads what the command needs and nothing else: each sidecar pays for what stands here. */
const [verb, ...rest] = process.argv.slice(2);

if (verb === "agent" && !rest.includes("--help") && !rest.includes("-h")) {
  const { agent } = await import("./commands/agent.ts");
  process.exitCode = await agent(rest);
} else {
  const { runProgram } = await import("./program.ts");
  process.exitCode = await runProgram(process.argv.slice(2));
}
