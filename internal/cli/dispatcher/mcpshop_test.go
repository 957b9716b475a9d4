package dispatcher_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// mcpShop is an MCP server for scripts, on stdio, or over HTTP at the address in its first argument. With the variable
// SHOP_CHANGED its refund has another parameter.
func mcpShop() {
	s := mcp.NewServer(&mcp.Implementation{Name: "shop.example", Version: "1"}, &mcp.ServerOptions{PageSize: 2})
	add := func(name, description, schema string, hints *mcp.ToolAnnotations, say func(arguments json.RawMessage) string) {
		t := &mcp.Tool{Name: name, Description: description, InputSchema: json.RawMessage(schema), Annotations: hints}
		s.AddTool(t, func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: say(req.Params.Arguments)}}}, nil
		})
	}
	refund := `{"type":"object","required":["order"],"properties":{"order":{"type":"string","description":"like A-1009: \"the number\""},"amount":{"type":"number","minimum":0.50}}}`
	if os.Getenv("SHOP_CHANGED") != "" {
		refund = `{"type":"object","required":["order","to"],"properties":{"order":{"type":"string"},"to":{"type":"string"}}}`
	}
	add("find order", "Finds an order.\nIts number is enough: ${ this } is no expression.", `{"type":"object"}`, &mcp.ToolAnnotations{ReadOnlyHint: true}, func(a json.RawMessage) string { return "found " + string(a) })
	add("orders/tag", "", `{"type":"object","properties":{"tags":{"type":"array","items":{"type":"string"},"maxItems":12345678901234567890}}}`, &mcp.ToolAnnotations{IdempotentHint: true}, func(json.RawMessage) string { return "tagged" })
	add("refund", "Pays an order back.", refund, nil, func(a json.RawMessage) string { return "paid " + string(a) })
	if os.Getenv("SHOP_BROKEN") != "" {
		add("broken", "", `{"type":"object","properties":{"a":{"$ref":"https://example.com/other.json"}}}`, nil, func(json.RawMessage) string { return "" })
	}
	var err error
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "listening")
		err = http.ListenAndServe(os.Args[1], mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, nil))
	} else {
		err = s.Run(context.Background(), &mcp.StdioTransport{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
