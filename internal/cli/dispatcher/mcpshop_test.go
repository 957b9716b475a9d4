package dispatcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

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
	if ledger := os.Getenv("SHOP_ASKS"); ledger != "" {
		s.AddTool(&mcp.Tool{Name: "pay", InputSchema: json.RawMessage(`{"type":"object"}`)}, askingPay(ledger))
	}
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

// askingPay pays one of two invoices, once a person has said which, and notes in the ledger what it was called for and what it has
// paid.
func askingPay(ledger string) mcp.ToolHandler {
	note := func(line string) error {
		f, err := os.OpenFile(ledger, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(f, line)
		return errors.Join(err, f.Close())
	}
	asks := mcp.InputRequestMap{"which": &mcp.ElicitParams{Mode: "form", Message: "Which of the two invoices?", RequestedSchema: json.RawMessage(
		`{"type":"object","properties":{"invoice":{"type":"string","title":"Invoice","enum":["A-7","A-8"]}},"required":["invoice"]}`)}}
	return func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		said := func(text string) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, note(text)
		}
		answer, _ := req.Params.InputResponses["which"].(*mcp.ElicitResult)
		switch {
		case strings.Contains(string(req.Params.Arguments), "page") && answer == nil:
			return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"which": &mcp.ElicitParams{Mode: "url", Message: "Sign in first.", URL: "https://shop.example/sign-in?a=1&b=2"}}, RequestState: "s1"}, note("asked")
		case answer == nil:
			return &mcp.CallToolResult{InputRequests: asks, RequestState: "s1"}, note("asked")
		case req.Params.RequestState != "s1":
			return nil, errors.New("this is another state")
		case answer.Action != "accept":
			return said("not paid: " + answer.Action)
		}
		return said(fmt.Sprint("paid ", answer.Content["invoice"]))
	}
}
