package mcpexec

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/executor"
	"belay/internal/steps"
)

// mostPages bounds the pages of a list: a server could go on for ever.
const mostPages = 1000

// listAge is how long a list counts for tools that do no harm.
const listAge = time.Minute

// Tool is a tool as its server lists it.
type Tool struct {
	Name         string          `json:"name"`         // as the server calls it
	Title        string          `json:"title"`        // what people are shown for it; may be empty
	Description  string          `json:"description"`  // what it does, in the server's words
	InputSchema  json.RawMessage `json:"inputSchema"`  // of its parameters
	OutputSchema json.RawMessage `json:"outputSchema"` // of its structured content; nil: it does not say
	Annotations  Hints           `json:"annotations"`  // what the server says of its effects
}

// Hints are what a server says of a tool's effects. Nobody checks them.
type Hints struct {
	ReadOnly    bool `json:"readOnlyHint"`    // it changes nothing
	Idempotent  bool `json:"idempotentHint"`  // calling it again with the same parameters changes nothing more
	Destructive bool `json:"destructiveHint"` // it may destroy something
}

// list asks for all tools. The error is a fault of a call that was never sent.
func (c *call) list() ([]Tool, error) {
	var all []Tool
	seen := map[string]bool{}
	for cursor := ""; !seen[cursor] && len(seen) < mostPages; {
		seen[cursor] = true
		page, next, err := c.page(cursor)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if next == "" {
			return all, nil
		}
		cursor = next
	}
	return nil, steps.Fault{Class: steps.InvalidOutput, Acted: steps.ActedNo, Message: "the server's list of tools has no end"}
}

func (c *call) page(cursor string) ([]Tool, string, error) {
	var known *mcp.ListToolsResult
	raw, err := c.request(func(ctx context.Context) (err error) {
		known, err = c.conn.ListTools(ctx, &mcp.ListToolsParams{Cursor: cursor})
		return err
	})
	if known != nil && raw == nil {
		raw, err = json.Marshal(known) // it was kept, as the server allows
	}
	if err != nil {
		return nil, "", unlisted(err)
	}
	var page struct {
		Tools []Tool `json:"tools"`
		Next  string `json:"nextCursor"`
	}
	if err := json.Unmarshal(raw, &page); err != nil {
		return nil, "", steps.Fault{Class: steps.InvalidOutput, Acted: steps.ActedNo, Message: "the server's list of tools cannot be read: " + err.Error()}
	}
	if known != nil { // the library leaves out tools that no client may call
		page.Tools = slices.DeleteFunc(page.Tools, func(t Tool) bool {
			return !slices.ContainsFunc(known.Tools, func(k *mcp.Tool) bool { return k.Name == t.Name })
		})
	}
	return page.Tools, page.Next, nil
}

func unlisted(err error) error {
	f, ok := err.(steps.Fault) //nolint:errorlint // made here, and never wrapped
	if !ok {
		return err
	}
	f.Acted = steps.ActedNo
	f.Message = "the server does not list its tools: " + f.Message
	return f
}

// agree refuses a call of a tool that the server does not have, or has with another schema than the tools file if that
// could do harm. People approved what they saw in the file.
func (x *rung) agree(c *call) error {
	if x.spec.Schema == nil {
		return nil
	}
	tools, err := c.schemas(x.spec.Tool, x.spec.Strict)
	if err != nil && x.spec.Strict {
		return err
	}
	if err != nil {
		return nil //nolint:nilerr // the schema of a tool that does no harm is compared where it can be
	}
	listed, ok := tools[x.spec.Tool]
	if !ok {
		return steps.Fault{Class: steps.NotFound, Acted: steps.ActedNo, Message: "the server does not list this tool (any more): see `dispatcher tools import mcp`"}
	}
	diff := difference(x.spec.Schema, listed)
	if diff == "" {
		return nil
	}
	message := "the server has another input schema than the tools file: " + diff + "; import it again with `dispatcher tools import mcp`, and review it"
	if x.spec.Strict {
		return steps.Fault{Class: steps.PolicyDenied, Acted: steps.ActedNo, Message: message}
	}
	if _, known := x.warned.LoadOrStore(diff, true); !known {
		x.server.logger.Warn("a tool of an MCP server has another input schema than the tools file; it is called all the same, because its effects are not unsafe", "tool", x.spec.Tool, "difference", diff)
	}
	return nil
}

// schemas are the input schemas of the server's tools, as they were listed last; anew if they must be the present ones, or
// if the tool is not among them.
func (c *call) schemas(tool string, anew bool) (map[string]json.RawMessage, error) {
	c.mu.Lock()
	known := c.tools
	anew = anew || time.Since(c.listed) > listAge
	c.mu.Unlock()
	if known != nil && known[tool] != nil && !anew {
		return known, nil
	}
	all, err := c.list()
	if err != nil {
		return nil, err
	}
	known = map[string]json.RawMessage{}
	for _, t := range all {
		known[t.Name] = t.InputSchema
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tools, c.listed = known, time.Now()
	return known, nil
}

// difference says where two schemas differ; empty if they are the same, in whatever order they are written.
func difference(file, server json.RawMessage) string {
	a, errA := exactly(file)
	b, errB := exactly(server)
	if errA != nil || errB != nil {
		return "it is not JSON"
	}
	var found []string
	compare("", a, b, &found)
	const shown = 3
	if len(found) > shown {
		found = append(found[:shown], fmt.Sprintf("and %d more", len(found)-shown))
	}
	return strings.Join(found, ", ")
}

func exactly(b json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

func compare(at string, file, server any, found *[]string) {
	a, isA := file.(map[string]any)
	b, isB := server.(map[string]any)
	if !isA || !isB {
		if !same(file, server) {
			*found = append(*found, placed(at)+" has changed")
		}
		return
	}
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if other, there := b[key]; there {
			compare(at+"."+key, a[key], other, found)
		} else {
			*found = append(*found, placed(at+"."+key)+" is gone")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(b)) {
		if _, there := a[key]; !there {
			*found = append(*found, placed(at+"."+key)+" is new")
		}
	}
}

// placed is a place in a schema, for people.
func placed(at string) string {
	return strconv.Quote(executor.Head([]byte(strings.TrimPrefix(at, ".")), 100))
}

// same compares values of which at most one is an object; 1.0 and 1 are one number.
func same(a, b any) bool {
	listA, isA := a.([]any)
	listB, isB := b.([]any)
	if isA && isB {
		return slices.EqualFunc(listA, listB, func(a, b any) bool {
			var found []string
			compare("", a, b, &found)
			return len(found) == 0
		})
	}
	numA, isA := a.(json.Number)
	numB, isB := b.(json.Number)
	if isA && isB {
		return numA == numB || number(numA) != nil && number(numB) != nil && number(numA).Cmp(number(numB)) == 0
	}
	return reflect.DeepEqual(a, b)
}

// number is n exactly; nil if it is too large to be worth it.
func number(n json.Number) *big.Rat {
	if len(n) > 40 || strings.ContainsAny(string(n), "eE") {
		return nil
	}
	r, _ := new(big.Rat).SetString(string(n))
	return r
}
