package mcptools

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// pending is the result of a call whose run has not ended.
type pending struct {
	State string `json:"state"`         // waiting: for a person, or for somebody to start something; running
	Run   string `json:"run"`           // its id
	For   string `json:"for,omitempty"` // what it waits for, in words
	URL   string `json:"url,omitempty"` // the page on which people decide or look
	Poll  string `json:"poll"`          // the tool to call with the run

	back bool // For says what holds it back
}

// note is what a result that is there says of how it came about; it stands in it as "belay".
type note struct {
	State    steps.RunState   `json:"state"`
	Run      string           `json:"run"`
	Degraded []steps.Degraded `json:"degraded"`
}

// fault is the result of a run that has not succeeded.
type fault struct {
	State   steps.RunState `json:"state"`
	Run     string         `json:"run"`
	Class   steps.Class    `json:"class,omitempty"`
	Message string         `json:"message"`
	URL     string         `json:"url,omitempty"`
}

// result is what an agent gets of a run.
func (s *Server) result(o outcome) *mcp.CallToolResult {
	if o.state == nil || !o.state.Closed() {
		return s.notYet(o)
	}
	doc := view.Show(o.state)
	var r *mcp.CallToolResult
	switch doc.State {
	case steps.RunSucceeded, steps.RunDegraded:
		r = succeeded(doc)
	default:
		r = s.unsuccessful(doc)
	}
	if o.repeated {
		add(r, fmt.Sprintf("An equal call started the run %s at %s; this is its result. Nothing was done twice. To call anew on purpose, give a new %s.", doc.ID, doc.Started.UTC().Format(time.RFC3339), requestID))
	}
	r.Meta = mcp.Meta{"dev.belay/run": doc.ID, "dev.belay/state": string(doc.State)}
	return r
}

func add(r *mcp.CallToolResult, text string) {
	r.Content = append(r.Content, &mcp.TextContent{Text: text})
}

// succeeded is the output, and how it came about where that was not as meant.
func succeeded(doc view.Document) *mcp.CallToolResult {
	output := doc.Output
	if len(output) == 0 {
		output = json.RawMessage(`null`)
	}
	r := &mcp.CallToolResult{}
	add(r, string(output))
	structured := object{}
	if output[0] != '{' || json.Unmarshal(output, &structured) != nil {
		structured = object{"result": output}
	}
	if len(doc.Degraded) > 0 {
		if raw, err := json.Marshal(note{doc.State, doc.ID, doc.Degraded}); err == nil && structured["belay"] == nil {
			structured["belay"] = raw
		}
		add(r, degradedText(doc.Degraded))
	}
	r.StructuredContent = structured
	return r
}

// degradedText says what a model must know about a degraded result.
func degradedText(all []steps.Degraded) string {
	lines := []string{"This result is degraded: not every step gave its best result."}
	for _, d := range all {
		line := fmt.Sprintf("- step %s: rung %s, because of %s", d.Step, d.Rung, d.Cause)
		if d.Rung == "" {
			line = fmt.Sprintf("- step %s: %s", d.Step, d.Cause)
		}
		if d.Age > 0 {
			line += fmt.Sprintf("; %s old", time.Duration(d.Age).Round(time.Second))
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// unsuccessful is why a run has failed, or who has stopped it. The step that has failed it is the one that its reason names:
// others may have failed before, without ending it.
func (s *Server) unsuccessful(doc view.Document) *mcp.CallToolResult {
	f := fault{State: doc.State, Run: doc.ID, Message: doc.Reason, URL: s.page("/runs/" + doc.ID)}
	for _, st := range doc.Steps {
		if doc.State == steps.RunFailed && st.State == steps.StepFailed && strings.HasPrefix(doc.Reason, st.ID+": ") {
			f.Class, f.Message = st.Class, st.Message
		}
	}
	r := &mcp.CallToolResult{IsError: true, StructuredContent: f}
	text := fmt.Sprintf("The run %s %s", doc.ID, ended[doc.State])
	switch {
	case f.Class != "":
		text += fmt.Sprintf(": %s: %s", f.Class, f.Message)
	case f.Message != "":
		text += ": " + f.Message
	}
	add(r, text)
	return r
}

// ended says how a run has ended that has not succeeded.
var ended = map[steps.RunState]string{steps.RunFailed: "failed", steps.RunAborted: "was aborted by a person", steps.RunCancelled: "was cancelled", steps.RunMigrated: "goes on as another run, under another plan"}

// pendingOf says where a run stands that goes on.
func (s *Server) pendingOf(o outcome) pending {
	p := pending{State: string(steps.RunRunning), Run: o.run, Poll: resultTool, URL: s.page("/runs/" + o.run), For: o.trouble}
	if o.waits() {
		p.State = string(steps.RunWaiting)
	}
	for _, w := range o.why.Waits {
		if w.For == view.ForPerson {
			p.For, p.URL, p.back = w.Text, s.page("/e/"+w.Escalation), false
			break
		}
		if p.For == "" {
			p.For, p.back = w.Text, w.For == view.ForGate || w.For == view.ForLimit
		}
	}
	return p
}

// notYet is the result of a run that goes on.
func (s *Server) notYet(o outcome) *mcp.CallToolResult {
	p := s.pendingOf(o)
	r := &mcp.CallToolResult{StructuredContent: p}
	if raw, err := json.Marshal(p); err == nil {
		add(r, string(raw))
	}
	text := fmt.Sprintf("This is not the result yet: the run %s is %s", p.Run, p.State)
	switch {
	case p.back:
		text += ", " + p.For
	case p.For != "":
		text += " for " + p.For
	}
	text += "."
	if p.URL != "" {
		text += " People see it at " + p.URL + " ."
	}
	add(r, text+fmt.Sprintf(" Call %s with {\"run\": %q} for the result; do not repeat the call.", resultTool, p.Run))
	r.Meta = mcp.Meta{"dev.belay/run": p.Run, "dev.belay/state": p.State}
	return r
}

// page is the address of a page of the console; empty where that is not known.
func (s *Server) page(path string) string {
	if s.Console == nil || s.Console() == "" {
		return ""
	}
	address, err := url.JoinPath(s.Console(), path)
	if err != nil {
		return ""
	}
	return address
}

// failed is the result of a call from which nothing has come.
func failed(err error) *mcp.CallToolResult {
	r := &mcp.CallToolResult{IsError: true}
	add(r, err.Error())
	return r
}
