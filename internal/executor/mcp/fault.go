package mcpexec

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/executor"
	"belay/internal/steps"
)

const messageBytes = 1 << 10 // how much of a server's words is a message; all of it is in the detail

// refused is the fault of a request to which the server answered with an error of the protocol.
func refused(e *jsonrpc.Error) steps.Fault {
	f := steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: executor.Head([]byte(e.Message), messageBytes), Detail: executor.Head(e.Data, detailBytes)}
	switch e.Code {
	case jsonrpc.CodeInvalidParams:
		f.Class, f.Acted = steps.InvalidInput, steps.ActedNo
		if unknownTool(e.Message) {
			f.Class = steps.NotFound
		}
	case jsonrpc.CodeMethodNotFound:
		f.Class, f.Acted = steps.NotFound, steps.ActedNo
	case jsonrpc.CodeInvalidRequest, jsonrpc.CodeParseError, mcp.CodeHeaderMismatch, mcp.CodeUnsupportedProtocolVersion:
		f.Acted = steps.ActedNo // the request itself was not understood
	case mcp.CodeMissingRequiredClientCapabilities:
		f.Acted = steps.ActedNo
		f.Message = "the server needs something of its client that Belay does not have: " + f.Message
	case mcp.CodeURLElicitationRequired:
		f.Class, f.Acted = steps.NeedsHuman, steps.ActedNo
	}
	return f
}

// unknownTool recognizes the error with which servers refuse a tool that they do not have. Its code is that of parameters
// that do not fit.
func unknownTool(message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "unknown tool") || strings.Contains(message, "tool") && strings.Contains(message, "not found")
}

// refusalOf is the error of an answer.
func refusalOf(err error) *jsonrpc.Error {
	if e, ok := errors.AsType[*jsonrpc.Error](err); ok {
		return e
	}
	return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: err.Error()}
}

// openQuestion is the fault of a call in the middle of which the server asked, as servers did before 2026-07-28.
func openQuestion(acted steps.Acted, questions []*mcp.ElicitParams) steps.Fault {
	var words []string
	var all []any
	for _, q := range questions {
		words = append(words, q.Message)
		shown := map[string]any{"message": q.Message}
		if q.RequestedSchema != nil {
			shown["requestedSchema"] = q.RequestedSchema
		}
		if q.URL != "" {
			shown["url"] = q.URL
		}
		all = append(all, shown)
	}
	message := strings.TrimSpace(strings.Join(words, "; "))
	if message == "" {
		message = "the server asks something, and does not say what"
	}
	detail, err := json.Marshal(all)
	if err != nil {
		detail = nil
	}
	return steps.Fault{Class: steps.NeedsHuman, Acted: acted, Message: executor.Head([]byte(message), messageBytes), Detail: executor.Head(detail, 2*detailBytes)}
}

// plain is an error without what the library and net/http put around it.
func plain(err error) string {
	return strings.TrimPrefix(executor.NetworkError(err), mcp.ErrConnectionClosed.Error()+": ")
}
