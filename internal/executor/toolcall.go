package executor

// ToolCall is a header of every HTTP request that an attempt makes, whatever its rung says. Belay's own pages and API let
// such a request do nothing that takes a person: a tool, and so the agent that chose its parameters, decides nothing.
const ToolCall = "Belay-Tool-Call"
