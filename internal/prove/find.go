package prove

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"

	"belay/internal/plan"
	"belay/internal/yamldoc"
)

// findAll looks for everything, in the order of the codes.
func (c *checker) findAll() {
	c.findEndless()
	c.findUnanswerable()
	c.findContradictions()
	c.findQuestions()
	c.findShortBudgets()
	c.findShortDeadline()
	c.findShared()
	c.findUnproven()
	c.findUnasked()
	c.findUnbounded()
	c.findUncompensated()
	c.findConditions()
	c.findUnproduced()
	c.findUnguarded()
	c.findOutOfReach()
	c.findSpenders()
	c.addRemarks()
}

// about is what a finding is about.
type about struct {
	at      plan.Place
	steps   []string
	tool    string
	key     string   // tells it from others of the same code, steps and tool
	witness []string // stage by stage
	fix     string   // overrides that of the code
}

func (c *checker) add(code string, a about, format string, args ...any) {
	f := Finding{
		Code: code, Severity: severityOf(code), Title: entryOf(code).Title, Message: fmt.Sprintf(format, args...),
		File: a.at.File, Line: a.at.Line, Col: a.at.Col, Steps: a.steps, Tool: a.tool, Witness: a.witness, Fix: a.fix, Page: pageOf(code),
	}
	if f.Fix == "" {
		f.Fix = entryOf(code).Fix
	}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{code, c.plan.Name, a.tool, a.key}, a.steps...), "\x00")))
	f.Print = hex.EncodeToString(sum[:16])
	c.found = append(c.found, f)
}

// addRemarks takes in what lint remarks on, but for what a finding says better.
func (c *checker) addRemarks() {
	for _, w := range c.doc.Warnings {
		if !c.said(w) {
			c.add(w.Code, about{at: plan.Place{File: w.File, Line: w.Line, Col: w.Col}, steps: c.stepAt(w), tool: c.toolAt(w), key: w.Message, fix: w.Hint}, "%s", w.Message)
		}
	}
}

// said reports whether a finding says already that a time can never be reached.
func (c *checker) said(w yamldoc.Problem) bool {
	return w.Code == plan.AttemptTooLong && slices.ContainsFunc(c.found, func(f Finding) bool {
		return f.Code == plan.TimesContradict && f.File == w.File && f.Line == w.Line && f.Col == w.Col
	})
}

// stepAt is the step that a remark about the plan stands in.
func (c *checker) stepAt(w yamldoc.Problem) []string {
	if w.File != c.doc.File {
		if tool := c.toolAt(w); tool != "" {
			return c.usersOf(tool)
		}
		return nil
	}
	begins := func(at plan.Place) bool { return at.Line < w.Line || at.Line == w.Line && at.Col <= w.Col }
	n := sort.Search(len(c.plan.Steps), func(i int) bool { return !begins(c.doc.Place(c.plan.Steps[i].ID, "")) })
	if n == 0 {
		return nil
	}
	id := c.plan.Steps[n-1].ID
	if out := c.doc.Place("", "output"); out != c.doc.Place("", "") && begins(out) && out.Line > c.doc.Place(id, "").Line {
		return nil
	}
	return []string{id}
}

// toolAt is the tool that a remark about the tools file stands in.
func (c *checker) toolAt(w yamldoc.Problem) string {
	for _, t := range c.usedTools() {
		if slices.Contains(t.Warnings, w) {
			return t.Name
		}
	}
	return ""
}

// settle puts the findings in order and counts them.
func (r *Report) settle() {
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	rank := func(f *Finding) int {
		switch {
		case !f.Counts():
			return 2
		case f.Severity == Error:
			return 0
		}
		return 1
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		if x, y := rank(&a), rank(&b); x != y {
			return x - y
		}
		if a.File != b.File {
			if a.File == r.File {
				return -1
			}
			return 1
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
	for i := range r.Findings {
		switch rank(&r.Findings[i]) {
		case 0:
			r.Errors++
		case 1:
			r.Warnings++
		default:
			r.Waived++
		}
	}
}
