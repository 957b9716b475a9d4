package mcpexec

import (
	"context"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// receive stands before the library in what a server sends beside its answers. A question is not validated there: whatever
// its schema is worth, a person has to see that something was asked. And what the library cannot deal with, it may panic
// about in a goroutine of its own, which would end the worker with everything that it executes.
func (s *session) receive(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (result mcp.Result, err error) {
		defer func() {
			if p := recover(); p != nil {
				result, err = nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("%s cannot be read: %v", method, p)}
			}
		}()
		if question, is := req.(*mcp.ElicitRequest); is {
			if question.Params == nil {
				question.Params = &mcp.ElicitParams{}
			}
			return s.asked(ctx, question)
		}
		return next(ctx, method, req)
	}
}
