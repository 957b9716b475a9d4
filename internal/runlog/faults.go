package runlog

import (
	"slices"
	"strings"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// The message of a result names the faults that its run has met, so that lists are narrowed to them without a look at every
// log. Runs that ended before there was such a header, and those that have met very many, are read.

// mostFaultText bounds the header, in bytes.
const mostFaultText = 400

// End is the message of a run's result, with the faults that the run has met, and the stream to publish it to.
func (l *Log) End(run string, c steps.Closed, met []string) (m bus.Message, stream string, err error) {
	if m, stream, err = l.Message(run, c); err != nil {
		return m, stream, err
	}
	if text := strings.Join(met, ","); len(text) <= mostFaultText {
		m.Header = map[string][]string{wire.HeaderFaults: {text}}
	}
	return m, stream, nil
}

// FaultsMet are the faults that attempts of a run have failed with, each class and class/reason once, sorted.
func FaultsMet(s *steps.State) (met []string) {
	eachFault(s, func(f *steps.Fault) bool {
		met = append(met, FaultWord(f.Class, f.Reason))
		return true
	})
	slices.Sort(met)
	return slices.Compact(met)
}

// FaultWord is a fault as [FaultsMet] has it.
func FaultWord(c steps.Class, r steps.Reason) string {
	if r == "" {
		return string(c)
	}
	return string(c) + "/" + string(r)
}

// ReadFaults are the faults that a result says its run has met; false where it does not say.
func ReadFaults(e bus.Entry) (met []string, known bool) {
	v := e.Header[wire.HeaderFaults]
	if len(v) != 1 {
		return nil, false
	}
	return strings.FieldsFunc(v[0], func(r rune) bool { return r == ',' }), true
}

// eachFault calls f with the fault of each attempt that has one, until it gives false.
func eachFault(s *steps.State, f func(*steps.Fault) bool) {
	for i := range s.Units {
		for _, a := range s.Units[i].Attempts {
			if a.Fault != nil && !f(a.Fault) {
				return
			}
		}
	}
}

// asksFault reports whether only runs that have met a fault are wanted.
func (f Filter) asksFault() bool { return f.Class != "" || f.Reason != "" || f.Text != "" }

// met reports whether a run whose faults are known may be wanted. What a fault says, they do not tell.
func (f Filter) met(faults []string) bool {
	if !f.asksFault() {
		return true
	}
	return slices.ContainsFunc(faults, func(word string) bool {
		class, reason, _ := strings.Cut(word, "/")
		return (f.Class == "" || string(f.Class) == class) && (f.Reason == "" || string(f.Reason) == reason)
	})
}

// hasMet reports whether one fault of a run is all that is asked for.
func (f Filter) hasMet(s *steps.State) bool {
	found := !f.asksFault()
	text := strings.ToLower(f.Text)
	eachFault(s, func(x *steps.Fault) bool {
		found = found || (f.Class == "" || f.Class == x.Class) && (f.Reason == "" || f.Reason == x.Reason) &&
			(strings.Contains(strings.ToLower(x.Message), text) || strings.Contains(strings.ToLower(x.Detail), text))
		return !found
	})
	return found
}
