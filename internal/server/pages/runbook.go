package pages

import (
	"fmt"
	"net/url"
	"strings"

	"belay/internal/steps/view"
)

// Runbook is the address of the page that says what to do about an escalation, with {tool}, {class}, {kind}, {workflow}
// and {step} in it. It is set by the operator, never by a plan or a tool: whoever submits runs must not be able to show
// links to people who decide. Empty = no link.
type Runbook string

// Check reports an error for what is not the address of a page, and for unknown placeholders.
func (b Runbook) Check() error {
	if b == "" {
		return nil
	}
	u, err := url.Parse(b.of(view.Escalation{Tool: "t", Class: "c", Kind: "k", Workflow: "w", Step: "s"}))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Contains(u.Host, "{") {
		return fmt.Errorf("%q is not the address of a page; write one like https://wiki.example.com/runbooks/{tool}#{class}", string(b))
	}
	if _, rest, open := strings.Cut(string(b), "//"); open {
		if host, _, _ := strings.Cut(rest, "/"); strings.Contains(host, "{") {
			return fmt.Errorf("%q: placeholders are not allowed in the host; put them after it", string(b))
		}
	}
	if strings.ContainsAny(b.of(view.Escalation{}), "{}") {
		return fmt.Errorf("%q: unknown placeholder; there are {tool}, {class}, {kind}, {workflow} and {step}", string(b))
	}
	return nil
}

// of returns the address for an escalation.
func (b Runbook) of(v view.Escalation) string {
	esc := url.PathEscape
	return strings.NewReplacer("{tool}", esc(v.Tool), "{class}", esc(string(v.Class)), "{kind}", esc(string(v.Kind)), "{workflow}", esc(v.Workflow), "{step}", esc(v.Step)).Replace(string(b))
}
