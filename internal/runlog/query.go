package runlog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"belay/internal/steps"
)

// A query is a filter as people type it, the same in the console, the API and commands: terms with spaces between, all of
// which must fit. What has a space in it stands in quotes.
//
//	refund state:failed label:customer=17 input:order=A-1009 fault:timeout text:"card expired" since:7d

// term is one word of the language.
type term struct {
	name  string
	takes string // what stands behind the colon, as an example
	set   func(f *Filter, value string, now time.Time) error
	get   func(f *Filter) []string
}

func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

var terms = []term{
	{"workflow", "refund", func(f *Filter, v string, _ time.Time) error { f.Workflow = v; return nil }, func(f *Filter) []string { return one(f.Workflow) }},
	{"state", "failed", setState, func(f *Filter) []string { return one(string(f.State)) }},
	{"label", "customer=17", func(f *Filter, v string, _ time.Time) error { return setPair(&f.Labels, v, nil) }, func(f *Filter) []string { return pairsOf(f.Labels) }},
	{"input", "order.id=A-1009", func(f *Filter, v string, _ time.Time) error { return setPair(&f.Input, v, CheckPath) }, func(f *Filter) []string { return pairsOf(f.Input) }},
	{"tool", "payments.refund", func(f *Filter, v string, _ time.Time) error { f.Tool = v; return nil }, func(f *Filter) []string { return one(f.Tool) }},
	{"fault", "timeout", func(f *Filter, v string, _ time.Time) error { return f.SetClass(v) }, func(f *Filter) []string { return one(string(f.Class)) }},
	{"reason", "overloaded", func(f *Filter, v string, _ time.Time) error { return f.SetReason(v) }, func(f *Filter) []string { return one(string(f.Reason)) }},
	{"text", `"card expired"`, func(f *Filter, v string, _ time.Time) error { f.Text = v; return nil }, func(f *Filter) []string { return one(f.Text) }},
	{"since", "7d", setTime(func(f *Filter) *time.Time { return &f.Since }), func(f *Filter) []string { return instant(f.Since) }},
	{"until", "2026-01-31", setTime(func(f *Filter) *time.Time { return &f.Until }), func(f *Filter) []string { return instant(f.Until) }},
	{"ended-since", "2h", setTime(func(f *Filter) *time.Time { return &f.EndedSince }), func(f *Filter) []string { return instant(f.EndedSince) }},
	{"ended-until", "30d", setTime(func(f *Filter) *time.Time { return &f.EndedUntil }), func(f *Filter) []string { return instant(f.EndedUntil) }},
}

// States are those that a run can have.
var States = []steps.RunState{steps.RunScheduled, steps.RunRunning, steps.RunWaiting, steps.RunSucceeded, steps.RunDegraded, steps.RunFailed, steps.RunAborted, steps.RunCancelled, steps.RunMigrated}

// ParseQuery reads a query; a word without a colon is a workflow's name. The error says what to write instead.
func ParseQuery(text string, now time.Time) (f Filter, err error) {
	words, err := splitQuery(text)
	if err != nil {
		return f, err
	}
	for _, word := range words {
		name, value, ok := strings.Cut(word, ":")
		if !ok {
			name, value = "workflow", word
		}
		if name == "plan" {
			name = "workflow"
		}
		i := slices.IndexFunc(terms, func(t term) bool { return t.name == name })
		if i < 0 {
			return f, fmt.Errorf("%s: there is no %s: to search by; write %s", word, name, termNames())
		}
		if value == "" {
			return f, fmt.Errorf("%s: write %s:%s", word, name, terms[i].takes)
		}
		if err := terms[i].set(&f, value, now); err != nil {
			if errors.Is(err, errForm) {
				err = fmt.Errorf("write %s:%s", name, terms[i].takes)
			}
			return f, fmt.Errorf("%s: %w", word, err)
		}
	}
	return f, nil
}

var errForm = errors.New("it has another form")

func termNames() string {
	var all []string
	for _, t := range terms {
		all = append(all, t.name+":")
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1] + " with a value behind it"
}

// Query is the filter as a query: what is in no term, owner, page and length, is left out.
func (f Filter) Query() string {
	var all []string
	for _, t := range terms {
		for _, v := range t.get(&f) {
			all = append(all, t.name+":"+quoted(v))
		}
	}
	return strings.Join(all, " ")
}

// quoted is a value as [splitQuery] reads it back.
func quoted(v string) string {
	if !strings.ContainsAny(v, " \t\r\n\"") {
		return v
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
}

// splitQuery takes a query apart at spaces outside quotes. Quotes may begin anywhere in a word: text:"card expired".
func splitQuery(text string) (words []string, err error) {
	var word strings.Builder
	begun, inside, escaped := false, false, false
	for _, r := range text {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case inside && r == '\\':
			escaped = true
		case r == '"':
			inside, begun = !inside, true
		case !inside && strings.ContainsRune(" \t\r\n", r):
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if inside {
		return nil, errors.New(`a quote is not closed: write text:"card expired"`)
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

func setState(f *Filter, v string, _ time.Time) error {
	if f.State = steps.RunState(v); !slices.Contains(States, f.State) {
		return fmt.Errorf("a state is one of %s", list(States))
	}
	return nil
}

// SetClass asks for runs that have met a fault of a class.
func (f *Filter) SetClass(v string) error {
	if f.Class = steps.Class(v); v != "" && !f.Class.Known() {
		return fmt.Errorf("a fault's class is one of %s", list(steps.Classes()))
	}
	return nil
}

// SetReason asks for runs that have met a fault with a reason.
func (f *Filter) SetReason(v string) error {
	if f.Reason = steps.Reason(v); v != "" && !slices.Contains(steps.Reasons(), f.Reason) {
		return fmt.Errorf("a fault's reason is one of %s", list(steps.Reasons()))
	}
	return nil
}

func list[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, w := range all {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}

func setPair(into *map[string]string, v string, check func(string) error) error {
	k, v, ok := strings.Cut(v, "=")
	if !ok || k == "" {
		return errForm
	}
	if check != nil {
		if err := check(k); err != nil {
			return err
		}
	}
	if *into == nil {
		*into = map[string]string{}
	}
	(*into)[k] = v
	return nil
}

func pairsOf(m map[string]string) (all []string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, k+"="+m[k])
	}
	return all
}

func setTime(of func(*Filter) *time.Time) func(*Filter, string, time.Time) error {
	return func(f *Filter, v string, now time.Time) error {
		at, ok := ParseTime(v, now)
		if !ok {
			return errors.New("a time is 2h or 7d ago, a day like 2026-01-31, or 2026-01-31T08:00:00Z")
		}
		*of(f) = at
		return nil
	}
}

func instant(at time.Time) []string {
	if at.IsZero() {
		return nil
	}
	return []string{at.UTC().Format(time.RFC3339Nano)}
}

// ParseTime reads a time as people write it: so long ago, a day, or an instant.
func ParseTime(text string, now time.Time) (time.Time, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil {
			return now.Add(-time.Duration(n * float64(24*time.Hour))), true
		}
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), true
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
