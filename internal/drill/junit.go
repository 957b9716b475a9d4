package drill

import (
	"encoding/xml"
	"io"
	"time"
)

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Name    string       `xml:"name,attr"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string     `xml:"name,attr"`
	Class   string     `xml:"classname,attr"`
	Time    float64    `xml:"time,attr"` // virtual seconds
	Failure *junitText `xml:"failure,omitempty"`
	Skipped *junitText `xml:"skipped,omitempty"`
	Out     string     `xml:"system-out,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
}

// JUnit writes the report as test results: a suite for each target, a case for each fault. What is worse than the baseline
// fails too.
func (r *Report) JUnit(w io.Writer, changes []Change) error {
	worse := map[string]Change{}
	for _, c := range changes {
		if c.Worse() {
			worse[c.Cell] = c
		}
	}
	all := junitSuites{Name: r.Plan}
	for _, t := range r.targets {
		s := junitSuite{Name: r.Name + ": " + t.Name()}
		for _, c := range r.Cells {
			if c.Target == t.Name() {
				s.add(r.Name, c, worse)
			}
		}
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *junitSuite) add(plan string, c *Cell, worse map[string]Change) {
	one := junitCase{Name: c.Fault, Class: plan + "." + c.Target, Time: time.Duration(c.Took).Seconds(), Out: judgement{c.Outcome, c.By, c.Why}.sentence()}
	change, isWorse := worse[c.Name()]
	switch {
	case c.Outcome.Bad():
		one.Failure = &junitText{c.Outcome.String() + ": " + c.Why}
	case isWorse:
		one.Failure = &junitText{"worse than the baseline: " + change.Was.String() + " -> " + change.Is.String()}
	case c.Outcome == Blank:
		one.Skipped, one.Out = &junitText{c.Why}, ""
	}
	if one.Failure != nil {
		s.Failures++
	}
	if one.Skipped != nil {
		s.Skipped++
	}
	s.Tests++
	s.Cases = append(s.Cases, one)
}
