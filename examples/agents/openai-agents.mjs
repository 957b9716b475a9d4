// An agent of @openai/agents whose dangerous tools are Belay's, over MCP. In one terminal, here:
//   dispatcher dev --tools tools.yaml
// and in another, after `npm ci`:
//   npx node openai-agents.mjs
// It prints where a person approves the refund. With a real model: OPENAI_BASE_URL= OPENAI_API_KEY=... MODEL=gpt-5-mini
import { Agent, MCPServerStreamableHttp, OpenAIProvider, Runner, setTracingDisabled } from "@openai/agents";
import OpenAI from "openai";

import { say } from "./say.mjs";

setTracingDisabled(true);
const provider = new OpenAIProvider({
  useResponses: false,
  openAIClient: new OpenAI({
    baseURL: process.env.OPENAI_BASE_URL ?? "http://127.0.0.1:8392/v1",
    apiKey: process.env.OPENAI_API_KEY ?? "none",
  }),
});
const belay = new MCPServerStreamableHttp({
  name: "belay",
  url: process.env.BELAY_MCP ?? "http://127.0.0.1:8222/mcp",
  requestInit: process.env.BELAY_API_TOKEN ? { headers: { Authorization: `Bearer ${process.env.BELAY_API_TOKEN}` } } : {},
  clientSessionTimeoutSeconds: 70, // a call of Belay takes up to 50 s, and then says how to ask again
});

await belay.connect();
try {
  const agent = new Agent({
    name: "support",
    model: process.env.MODEL ?? "support",
    instructions: "You settle support tickets. Where a tool says that a person has to approve, tell its url, and ask for the result with belay_result.",
    mcpServers: [belay],
  });
  const runner = new Runner({ modelProvider: provider });
  runner.on("agent_tool_end", (_context, _agent, _tool, result) => say(result));
  const result = await runner.run(agent, "Order A-1009 has arrived broken.", { maxTurns: 20 });
  console.log(result.finalOutput);
} finally {
  await belay.close();
}
