// An agent of the AI SDK whose dangerous tools are Belay's, over MCP. In one terminal, here:
//   dispatcher dev --tools tools.yaml
// and in another, after `npm ci`:
//   npx node ai-sdk.mjs
// It prints where a person approves the refund. With a real model: OPENAI_BASE_URL=https://api.openai.com/v1 OPENAI_API_KEY=... MODEL=gpt-5-mini
import { createMCPClient } from "@ai-sdk/mcp";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, stepCountIs } from "ai";

import { say } from "./say.mjs";

const provider = createOpenAICompatible({
  name: "model",
  baseURL: process.env.OPENAI_BASE_URL ?? "http://127.0.0.1:8392/v1",
  apiKey: process.env.OPENAI_API_KEY ?? "none",
});
const belay = await createMCPClient({
  transport: {
    type: "http",
    url: process.env.BELAY_MCP ?? "http://127.0.0.1:8222/mcp",
    headers: process.env.BELAY_API_TOKEN ? { Authorization: `Bearer ${process.env.BELAY_API_TOKEN}` } : {},
  },
});

try {
  const result = await generateText({
    model: provider(process.env.MODEL ?? "support"),
    system: "You settle support tickets. Where a tool says that a person has to approve, tell its url, and ask for the result with belay_result.",
    prompt: "Order A-1009 has arrived broken.",
    tools: await belay.tools(),
    stopWhen: stepCountIs(20),
    onStepFinish: (step) => step.toolResults.forEach((r) => say(r.output)),
  });
  console.log(result.text);
} finally {
  await belay.close();
}
