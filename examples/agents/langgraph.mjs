// An agent of LangGraph.js whose dangerous tools are Belay's, over MCP. In one terminal, here:
//   dispatcher dev --tools tools.yaml
// and in another, after `npm ci`:
//   npx node langgraph.mjs
// It prints where a person approves the refund. With a real model: OPENAI_BASE_URL= OPENAI_API_KEY=... MODEL=gpt-5-mini
import { MultiServerMCPClient } from "@langchain/mcp-adapters";
import { createReactAgent } from "@langchain/langgraph/prebuilt";
import { ChatOpenAI } from "@langchain/openai";

import { say } from "./say.mjs";

const belay = new MultiServerMCPClient({
  mcpServers: {
    belay: {
      transport: "http",
      url: process.env.BELAY_MCP ?? "http://127.0.0.1:8222/mcp",
      headers: process.env.BELAY_API_TOKEN ? { Authorization: `Bearer ${process.env.BELAY_API_TOKEN}` } : {},
      defaultToolTimeout: 70_000, // a call of Belay takes up to 50 s, and then says how to ask again
    },
  },
});

try {
  const agent = createReactAgent({
    llm: new ChatOpenAI({
      model: process.env.MODEL ?? "support",
      apiKey: process.env.OPENAI_API_KEY ?? "none",
      configuration: { baseURL: process.env.OPENAI_BASE_URL ?? "http://127.0.0.1:8392/v1" },
    }),
    tools: await belay.getTools(),
    prompt: "You settle support tickets. Where a tool says that a person has to approve, tell its url, and ask for the result with belay_result.",
  });
  let last;
  for await (const update of await agent.stream({ messages: [{ role: "user", content: "Order A-1009 has arrived broken." }] }, { streamMode: "updates" })) {
    for (const m of Object.values(update).flatMap((u) => u.messages ?? [])) {
      if (m.getType() === "tool") say(m.content);
      last = m;
    }
  }
  console.log(last.content);
} finally {
  await belay.close();
}
