package prove

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"belay/internal/plan"
)

// waive marks the findings that the plan accepts. A waiver that has expired, and one that is about nothing, are findings.
func (r *Report) waive(doc *plan.Document, now time.Time) {
	for i := range doc.Waivers {
		w := &doc.Waivers[i]
		met := false
		for k := range r.Findings {
			if f := &r.Findings[k]; w.Code == f.Code && (w.Step == "" || slices.Contains(f.Steps, w.Step)) {
				met = true
				if f.Waiver == nil && !w.Expired(now) && r.covered(doc, f, now) {
					f.Waiver = &Waived{w.Reason, w.Until}
				}
			}
		}
		switch {
		case w.Expired(now):
			r.addWaiver(plan.WaiverExpired, w, fmt.Sprintf("the waiver of %s%s expired on %s: %s", w.Code, ofStep(w), w.Until.AddDate(0, 0, -1).Format(time.DateOnly), w.Reason))
		case !met:
			r.addWaiver(plan.WaivesNothing, w, fmt.Sprintf("the plan has no finding %s%s", w.Code, ofStep(w)))
		}
	}
}

func ofStep(w *plan.Waiver) string {
	if w.Step == "" {
		return ""
	}
	return " of step " + w.Step
}

// covered reports whether waivers name every step that a finding is about. One about a tool is waived only where each step
// that calls the tool accepts it.
func (r *Report) covered(doc *plan.Document, f *Finding, now time.Time) bool {
	accepted := func(step string) bool {
		for i := range doc.Waivers {
			if w := &doc.Waivers[i]; w.Code == f.Code && !w.Expired(now) && (w.Step == "" || w.Step == step) {
				return true
			}
		}
		return false
	}
	for _, step := range f.Steps {
		if !accepted(step) {
			return false
		}
	}
	return true
}

func (r *Report) addWaiver(code string, w *plan.Waiver, message string) {
	e := entryOf(code)
	sum := sha256.Sum256([]byte(code + "\x00" + r.Plan + "\x00" + w.Code + "\x00" + w.Step))
	f := Finding{
		Code: code, Severity: e.Severity, Title: e.Title, Message: message, File: w.Place.File, Line: w.Place.Line, Col: w.Place.Col,
		Fix: e.Fix, Page: pageOf(code), Print: hex.EncodeToString(sum[:16]),
	}
	if w.Step != "" {
		f.Steps = []string{w.Step}
	}
	r.Findings = append(r.Findings, f)
}
