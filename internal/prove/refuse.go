package prove

import (
	"slices"

	"belay/internal/plan"
	"belay/internal/yamldoc"
)

// Refusals are the findings for which a plan is not started, as mistakes of its documents. A waiver that has expired is
// none: what was accepted yesterday runs today, and `prove` fails.
func (r *Report) Refusals() yamldoc.Problems {
	return r.problems(func(f *Finding) bool { return f.Severity == Error && f.Code != plan.WaiverExpired })
}

// Problems are the findings that count as mistakes or remarks of the documents.
func (r *Report) Problems() yamldoc.Problems { return r.problems(func(*Finding) bool { return true }) }

// Beyond counts the warnings that are not among those that lint has given, which are printed already.
func (r *Report) Beyond(given yamldoc.Problems) (n int) {
	for _, p := range r.problems(func(f *Finding) bool { return f.Severity == Warning }) {
		said := func(g yamldoc.Problem) bool {
			return g.Code == p.Code && g.File == p.File && g.Line == p.Line && g.Col == p.Col
		}
		if !slices.ContainsFunc(given, said) {
			n++
		}
	}
	return n
}

// Unwaived are those of the warnings of lint that the plan does not accept.
func (r *Report) Unwaived(given yamldoc.Problems) (list yamldoc.Problems) {
	for _, g := range given {
		if !slices.ContainsFunc(r.Findings, func(f Finding) bool {
			return !f.Counts() && f.Code == g.Code && f.File == g.File && f.Line == g.Line && f.Col == g.Col
		}) {
			list = append(list, g)
		}
	}
	return list
}

// Expired are the waivers that have expired.
func (r *Report) Expired() yamldoc.Problems {
	return r.problems(func(f *Finding) bool { return f.Code == plan.WaiverExpired })
}

func (r *Report) problems(fits func(*Finding) bool) (list yamldoc.Problems) {
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Counts() && fits(f) {
			list = append(list, yamldoc.Problem{File: f.File, Line: f.Line, Col: f.Col, Message: f.Code + ": " + f.Message, Hint: f.Fix, Code: f.Code})
		}
	}
	return list
}
