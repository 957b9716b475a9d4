package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"belay/internal/yamldoc"
)

// callPlan is the plan of one call. The parameters are its input, so that nothing in them is taken for an expression.
const callPlan = `{"name":"call","input":{"params":{}},"steps":[{"id":"call","tool":%q,"with":"${ input.params }"}],"output":"${ steps.call.output }"}`

// asCall makes of a call the plan with this one step.
func (c *content) asCall(o *Order) error {
	tool := c.tools.Tools[o.Tool]
	if tool == nil {
		return &Unknown{"tool", o.Tool, yamldoc.OneOf(o.Tool, slices.Collect(maps.Keys(c.tools.Tools)))}
	}
	params := bytes.TrimSpace(o.Params)
	if len(params) == 0 || string(params) == "null" {
		params = []byte(`{}`)
	}
	if params[0] != '{' {
		return InvalidInput{{Path: "/params", Message: "params must be an object"}}
	}
	if tool.CheckInput != nil {
		if err := tool.CheckInput(params); err != nil {
			var list InvalidInput
			for line := range strings.SplitSeq(err.Error(), "\n") {
				list = append(list, Mistake{Path: "/params", Message: line})
			}
			return list
		}
	}
	o.Whole, o.Input = fmt.Appendf(nil, callPlan, o.Tool), map[string]json.RawMessage{"params": params}
	return nil
}
