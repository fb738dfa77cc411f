// Drives the command line with Claude's TypeScript SDK, as a host would. argv: a JSON object with `sdk` (the module's
// path), `cli`, `cwd`, `env`, `prompts`, `options`, and what its callbacks answer: `permit`, `hooks`, `interruptAt`.
// Prints one JSON object a line: each message, and each callback as {"callback": name, ...}.
const given = JSON.parse(process.argv[2]);
const sdk = await import(given.sdk);
const { z } = await import(given.zod);

const print = (row) => process.stdout.write(JSON.stringify(row) + "\n");
const options = {
  pathToClaudeCodeExecutable: given.cli,
  cwd: given.cwd,
  model: "claude-sonnet-5-5",
  env: { ...process.env, ...given.env },
  stderr: (text) => print({ callback: "stderr", text }),
  ...given.options,
};
if (given.permit) {
  options.canUseTool = async (tool, input, { toolUseID }) => {
    print({ callback: "permit", tool, input, toolUseID });
    const answer = given.permit;
    return answer.behavior === "allow" ? { ...answer, updatedInput: { ...input, ...answer.updatedInput } } : answer;
  };
}
if (given.hooks) {
  const callback = (event) => async (input, toolUseID) => {
    print({ callback: "hook", event, input, toolUseID });
    return given.hooks[event];
  };
  options.hooks = Object.fromEntries(Object.keys(given.hooks).map((event) => [event, [{ hooks: [callback(event)] }]]));
}
if (given.shop) {
  const price = sdk.tool("price", "The price of a thing", { thing: z.string() }, async ({ thing }) => {
    print({ callback: "tool", thing });
    return { content: [{ type: "text", text: `${thing} costs 3` }] };
  });
  options.mcpServers = { shop: sdk.createSdkMcpServer({ name: "shop", tools: [price] }) };
}

let next; // wakes the stream of prompts when a turn has ended
async function* prompts() {
  for (const content of given.prompts) {
    const ended = new Promise((resolve) => (next = resolve));
    yield { type: "user", message: { role: "user", content }, parent_tool_use_id: null, session_id: "" };
    await ended;
  }
}

const query = sdk.query({ prompt: prompts(), options });
let failure = null;
try {
  for await (const message of query) {
    print({ message });
    if (message.type === given.interruptAt) await query.interrupt();
    if (message.type === "result") {
      if (given.thenMode) await query.setPermissionMode(given.thenMode);
      if (given.thenModel) await query.setModel(given.thenModel);
      next();
    }
  }
} catch (error) {
  failure = String(error);
}
print({ callback: "end", failure });
