package console

import (
	"fmt"
	"net/url"
	"strings"

	"belay/internal/steps"
)

// Runbook is where people find what to do about a question: an address with {tool}, {class}, {kind}, {workflow} and
// {step} in it. It is the operator's own, never a plan's or a tool's: whoever submits runs must not put links before
// people who decide. The zero value leads nowhere.
type Runbook string

// Check refuses what is no address of a page, and names that nothing stands for.
func (b Runbook) Check() error {
	if b == "" {
		return nil
	}
	u, err := url.Parse(b.of(steps.EscalationView{Tool: "t", Class: "c", Kind: "k", Workflow: "w", Step: "s"}))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Contains(u.Host, "{") {
		return fmt.Errorf("%q is no address of a page: it is like https://wiki.example.com/runbooks/{tool}#{class}", string(b))
	}
	if _, rest, open := strings.Cut(string(b), "//"); open {
		if host, _, _ := strings.Cut(rest, "/"); strings.Contains(host, "{") {
			return fmt.Errorf("%q: the host is fixed; {tool} and its like stand behind it", string(b))
		}
	}
	if strings.ContainsAny(b.of(steps.EscalationView{}), "{}") {
		return fmt.Errorf("%q: there are {tool}, {class}, {kind}, {workflow} and {step}", string(b))
	}
	return nil
}

// of is the address for a question.
func (b Runbook) of(v steps.EscalationView) string {
	esc := url.PathEscape
	return strings.NewReplacer("{tool}", esc(v.Tool), "{class}", esc(string(v.Class)), "{kind}", esc(string(v.Kind)), "{workflow}", esc(v.Workflow), "{step}", esc(v.Step)).Replace(string(b))
}
