package belaytest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"belay/belaytype"
	"belay/internal/drill"
	"belay/internal/plan"
	"belay/internal/steps"
)

// Story is one play of a plan on a virtual clock: what goes wrong, what people decide, and how it should end. There is no
// server, no tool is called, and waits of hours take no time. The core and the worker's handling of messages are the real
// ones; what tools return is made up where the test does not say it.
//
//	belaytest.Play(t, "refund.yaml").
//		Fail("lookup", belaytype.Unavailable, 2).       // twice, then it answers
//		FailActed("refund", belaytype.Timeout, 1).      // the payment is made, and the answer gets lost
//		Person(belaytype.Approve, belaytype.Answer).    // what people decide, one after the other
//		Ends(belaytype.Succeeded).
//		Effects("payments.refund", 1).                  // it is made once
//		Within(time.Minute)
//
// What is said of the world must come before what is expected: the first expectation plays the story. Whatever is expected,
// an effect that is lost or doubled fails the test, and so does a run that is stuck.
type Story struct {
	t      testing.TB
	path   string
	tools  string
	story  drill.Story
	played *drill.Ending
	ended  drill.Expect
}

// Play begins a story about the plan in a file. Its tools file is tools.yaml beside it.
func Play(t testing.TB, path string) *Story {
	return &Story{t: t, path: path, tools: plan.FindTools(path), story: drill.Story{Input: map[string]any{}, Outputs: map[string]any{}}}
}

// Tools names the tools file.
func (s *Story) Tools(path string) *Story {
	s.begin()
	s.tools = path
	return s
}

// Input gives an input of the plan.
func (s *Story) Input(name string, value any) *Story {
	s.begin()
	s.story.Input[name] = value
	return s
}

// Returns says what the calls of a step give, or those of a tool. For what a probe finds name it `<tool>/verify/yes` and
// `<tool>/verify/no`.
func (s *Story) Returns(step string, value any) *Story {
	s.begin()
	s.story.Outputs[step] = value
	return s
}

// Fail lets so many calls of a step fail, 0 for all. The step's first rung fails; any other is named `step.rung`. A turn of
// an agent is `step~t1`, its second call `step~t1.2`, its first summary `step~s1`. The calls have had no effect, which is not known of a class such as timeout. Calls of several Fail of one rung fail one after the
// other.
func (s *Story) Fail(at string, class belaytype.Class, times int) *Story {
	return s.fail(at, class, times, false)
}

// FailActed is Fail of calls that have had their effect before they failed.
func (s *Story) FailActed(at string, class belaytype.Class, times int) *Story {
	return s.fail(at, class, times, true)
}

// certain are the classes of which it is known that the call had no effect.
var certain = []belaytype.Class{
	belaytype.RateLimited, belaytype.Connection, belaytype.InvalidInput, belaytype.Unauthorized, belaytype.Forbidden, belaytype.NotFound, belaytype.Conflict,
}

func (s *Story) fail(at string, class belaytype.Class, times int, acted bool) *Story {
	s.t.Helper()
	s.begin()
	if !slices.Contains(belaytype.Classes(), class) {
		s.t.Fatalf("belaytest: there is no class of faults %q", class)
	}
	step, rung := place(at)
	s.story.World = append(s.story.World, drill.Incident{
		Step: step, Rung: rung, Times: times, Acted: acted, Class: steps.Class(class), Message: "the test says so", MayHave: !slices.Contains(certain, class),
	})
	return s
}

// Suffer lets one of the faults of `dispatcher drill` befall so many calls of a step, 0 for all: killed-before, killed-after,
// late, no-worker, garbage, 503 and so on; docs/drill.md has them all.
func (s *Story) Suffer(at, fault string, times int) *Story {
	s.begin()
	step, rung := place(at)
	s.story.World = append(s.story.World, drill.Incident{Step: step, Rung: rung, Fault: fault, Times: times})
	return s
}

// place takes `step`, `step.rung` and, of a call of an agent, `step~t1.2` and `step~t1.2.rung` apart.
func place(at string) (step, rung string) {
	step, rung, _ = strings.Cut(at, ".")
	if position, rest, _ := strings.Cut(rung, "."); steps.IsCall(step + "." + position) {
		return step + "." + position, rest
	}
	return step, rung
}

// Person says what people decide, one question after the other, two minutes after it was asked, or after half of its time. Where
// nothing is said they approve, settle what has happened, retry once, and then go on without the step.
func (s *Story) Person(verbs ...belaytype.Verb) *Story {
	s.begin()
	for _, v := range verbs {
		s.story.People = append(s.story.People, drill.Deciding{Verb: steps.Verb(v)})
	}
	return s
}

// Nobody lets nobody decide the next question.
func (s *Story) Nobody() *Story {
	s.begin()
	s.story.People = append(s.story.People, drill.Deciding{Verb: "none"})
	return s
}

// Ends expects a state of the run: waiting, where nobody decides and there is no deadline.
func (s *Story) Ends(want belaytype.RunState) *Story {
	s.t.Helper()
	if s.play(); string(s.ended.Ends) != string(want) {
		s.wrong("the run is %s, want %s", s.ended.Ends, want)
	}
	return s
}

// Degraded expects the result of a step to come from this rung, as a fallback.
func (s *Story) Degraded(step, rung string) *Story {
	s.t.Helper()
	if s.play(); !slices.Contains(s.ended.Degraded, step+"."+rung) {
		s.wrong("%s is not degraded by %s; degraded are %v", step, rung, s.ended.Degraded)
	}
	return s
}

// Asks expects that people are asked about a step, and no less often than it is called with it.
func (s *Story) Asks(kind belaytype.Kind, step string) *Story {
	s.t.Helper()
	if s.play(); !slices.Contains(s.ended.Asked, string(kind)+" of "+step) {
		s.wrong("nobody is asked about %s of %s; asked is %v", kind, step, s.ended.Asked)
	}
	return s
}

// AsksNobody expects that nobody is asked anything.
func (s *Story) AsksNobody() *Story {
	s.t.Helper()
	if s.play(); len(s.ended.Asked) > 0 {
		s.wrong("people are asked: %v", s.ended.Asked)
	}
	return s
}

// Effects expects how often a tool has had its effect.
func (s *Story) Effects(tool string, want int) *Story {
	s.t.Helper()
	if s.play(); s.ended.Effects[tool] != want {
		s.wrong("%s has had its effect %d times, want %d", tool, s.ended.Effects[tool], want)
	}
	return s
}

// Within expects the work to take no longer, on the virtual clock; the time in which people are asked is left out.
func (s *Story) Within(d time.Duration) *Story {
	s.t.Helper()
	if s.play(); s.ended.Within > d {
		s.wrong("the work takes %s, want at most %s", s.ended.Within, d)
	}
	return s
}

// Stories plays all stories that match a pattern, such as those that `dispatcher runs export --story` has written, each as a
// test of its own.
func Stories(t *testing.T, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("belaytest: no stories match %s", pattern)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".story.yaml"), func(t *testing.T) { storyIn(t, file) })
	}
}

func storyIn(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("belaytest: %v", err)
	}
	story, err := drill.ParseStory(data)
	if err != nil {
		t.Fatalf("belaytest: %s: %v", file, err)
	}
	tools := story.Tools
	if tools == "" {
		tools = plan.FindTools(story.Plan)
	}
	s := &Story{t: t, path: filepath.Join(filepath.Dir(file), story.Plan), tools: filepath.Join(filepath.Dir(file), tools), story: *story}
	s.play()
	for _, w := range s.played.Wrong {
		s.wrong("%s", w)
	}
}

// begin refuses what is said of the world once it has been played.
func (s *Story) begin() {
	s.t.Helper()
	if s.played != nil {
		s.t.Fatalf("belaytest: the story was played already: say what happens before what you expect")
	}
}

func (s *Story) play() {
	s.t.Helper()
	if s.played != nil {
		return
	}
	d, err := s.drill()
	if err == nil {
		err = d.Prepare()
	}
	if err == nil {
		s.played, err = d.Tell(&s.story)
	}
	if err != nil {
		s.t.Fatalf("belaytest: %s: %v", s.path, err)
	}
	s.ended = s.played.Expect()
	if why := s.played.Bad(); why != "" {
		s.wrong("%s", why)
	}
}

func (s *Story) drill() (*drill.Drill, error) {
	tools, err := plan.LoadTools(s.tools)
	if err != nil {
		return nil, err
	}
	doc, err := plan.LoadPlan(s.path, tools)
	if err != nil {
		return nil, err
	}
	given, err := encoded(s.story.Input)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	input, err := doc.CheckInput(given)
	if err != nil {
		return nil, err
	}
	outputs, err := encoded(s.story.Outputs)
	if err != nil {
		return nil, fmt.Errorf("what tools return: %w", err)
	}
	return &drill.Drill{Doc: doc, Tools: tools, Input: input, Outputs: outputs}, nil
}

func encoded(values map[string]any) (map[string]json.RawMessage, error) {
	all := make(map[string]json.RawMessage, len(values))
	for name, v := range values {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[name] = raw
	}
	return all, nil
}

// wrong fails the test, and prints what happened.
func (s *Story) wrong(format string, args ...any) {
	s.t.Helper()
	var b strings.Builder
	drill.Lines(&b, s.played.Lines)
	s.t.Fatalf("belaytest: %s\n%s", fmt.Sprintf(format, args...), b.String())
}
