package dispatcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
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
	tasks := os.Getenv("SHOP_TASKS")
	if tasks != "" {
		addPayTask(s, tasks)
	}
	if os.Getenv("SHOP_BROKEN") != "" {
		add("broken", "", `{"type":"object","properties":{"a":{"$ref":"https://example.com/other.json"}}}`, nil, func(json.RawMessage) string { return "" })
	}
	var err error
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "listening")
		err = http.ListenAndServe(os.Args[1], mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{Stateless: tasks != ""}))
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
	note := func(line string) error { return enter(ledger, line) }
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

// enter adds a line to a ledger.
func enter(ledger, line string) error {
	f, err := os.OpenFile(ledger, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

// said is a result in its own words.
type said struct {
	mcp.ResultBase
	words string
}

func (s *said) MarshalJSON() ([]byte, error) { return []byte(s.words), nil }

// aboutTask are the parameters of what is asked about tasks.
type aboutTask struct {
	mcp.ParamsBase
	ID string `json:"taskId"`
}

// addPayTask adds a tool whose calls become tasks. A task pays, once, when there is a file go; the ledger has each call, each
// payment and, beside it, each time that somebody asked.
func addPayTask(s *mcp.Server, ledger string) {
	s.AddTool(&mcp.Tool{Name: "pay slowly", InputSchema: json.RawMessage(`{"type":"object"}`)}, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return nil, errors.New("not as a task")
	})
	var mu sync.Mutex
	known, done := map[string]bool{}, map[string]bool{}
	s.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if call, is := req.(*mcp.CallToolRequest); !is || call.Params.Name != "pay slowly" {
				return next(ctx, method, req)
			}
			mu.Lock()
			defer mu.Unlock()
			id := fmt.Sprint("pay-", len(known)+1)
			known[id] = true
			return &said{words: fmt.Sprintf(`{"resultType":"task","taskId":%q,"status":"working","ttlMs":null,"pollIntervalMs":100}`, id)}, enter(ledger, "called")
		}
	})
	get := func(_ context.Context, _ *mcp.ServerSession, p *aboutTask) (*said, error) {
		mu.Lock()
		defer mu.Unlock()
		_, wait := os.Stat("go")
		state := `"working","statusMessage":"the bank is slow"`
		switch {
		case !known[p.ID]:
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "no such task"}
		case wait == nil && !done[p.ID]:
			done[p.ID] = true
			if err := enter(ledger, "paid"); err != nil {
				return nil, err
			}
		}
		if done[p.ID] {
			state = `"completed","result":{"content":[],"structuredContent":{"paid":true}}`
		}
		return &said{words: fmt.Sprintf(`{"resultType":"complete","taskId":%q,"ttlMs":null,"pollIntervalMs":100,"status":%s}`, p.ID, state)}, enter("asked", p.ID)
	}
	cancel := func(_ context.Context, _ *mcp.ServerSession, p *aboutTask) (*said, error) {
		return &said{words: `{"resultType":"complete"}`}, enter(ledger, "cancelled "+p.ID)
	}
	_ = errors.Join(mcp.AddReceivingCustomMethod(s, "tasks/get", get), mcp.AddReceivingCustomMethod(s, "tasks/cancel", cancel)) // no method of the protocol's own
}
