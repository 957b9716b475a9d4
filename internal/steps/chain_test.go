package steps

import (
	"strings"
	"testing"
	"time"
)

// TestGuardOfACallThatGoesOn: one approval is for one call, however many attempts it takes and however long a person thinks about
// what its server asks; and for nothing else.
func TestGuardOfACallThatGoesOn(t *testing.T) {
	t.Parallel()
	claimed := func(try int, worker string) Claimed { return Claimed{Attempt{Step: "s", Try: try}, worker} }
	asks := func(try int, worker string) Failed {
		return Failed{Attempt: Attempt{Step: "s", Try: try}, Worker: worker, Fault: Fault{Class: NeedsHuman, Acted: ActedMaybe}, Resume: &Resume{}, Question: &Question{}}
	}
	noted := func(try int, worker string, harmless bool) Resumable {
		return Resumable{Attempt: Attempt{Step: "s", Try: try}, Worker: worker, Resume: Resume{Harmless: harmless}}
	}
	silent := func(try int) Failed {
		return Failed{Attempt: Attempt{Step: "s", Try: try}, Worker: "other", Fault: Fault{Class: Unknown, Acted: ActedMaybe}}
	}
	refused := func(try int, worker string) Failed {
		return Failed{Attempt: Attempt{Step: "s", Try: try}, Worker: worker, Fault: Fault{Class: Connection, Acted: ActedNo}}
	}
	spent := func(try int, worker string) Failed {
		return Failed{Attempt: Attempt{Step: "s", Try: try}, Worker: worker, Fault: Fault{Class: Unavailable, Acted: ActedMaybe}, Spent: true}
	}
	for name, c := range map[string]struct {
		log  []Event
		says string
	}{
		"its server has asked":             {[]Event{claimed(1, "w1"), asks(1, "w1")}, ""},
		"it has asked twice":               {[]Event{claimed(1, "w1"), asks(1, "w1"), claimed(2, "w2"), asks(2, "w2")}, ""},
		"the answer did not get there":     {[]Event{claimed(1, "w1"), asks(1, "w1"), claimed(2, "w2"), refused(2, "w2")}, ""},
		"the answer may have got there":    {[]Event{claimed(1, "w1"), asks(1, "w1"), claimed(2, "w2"), silent(2)}, "used up"},
		"its worker was lost with a task":  {[]Event{claimed(1, "w1"), noted(1, "w1", true), silent(1)}, ""},
		"two were":                         {[]Event{claimed(1, "w1"), noted(1, "w1", true), silent(1), claimed(2, "w2"), silent(2)}, ""},
		"nothing was left":                 {[]Event{claimed(1, "w1"), silent(1)}, "nothing that it could go on with"},
		"nothing was begun":                {nil, "nothing that it could go on with"},
		"somebody else says so":            {[]Event{claimed(1, "w1"), noted(1, "w2", true), asks(1, "w2"), silent(1)}, "nothing that it could go on with"},
		"what is noted would act":          {[]Event{claimed(1, "w1"), noted(1, "w1", false), silent(1)}, "nothing that it could go on with"},
		"the server has forgotten it":      {[]Event{claimed(1, "w1"), noted(1, "w1", true), silent(1), claimed(2, "w2"), spent(2, "w2")}, "nothing that it could go on with"},
		"another one is through":           {[]Event{claimed(1, "w1"), noted(1, "w1", true), Succeeded{Attempt: Attempt{Step: "s", Try: 1}}}, "used up"},
		"its dispatcher said nobody would": {[]Event{claimed(1, "")}, "nothing that it could go on with"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newGuarded(t)
			x.m.Try, x.m.Continues = 9, true
			for _, e := range c.log {
				x.say(e)
			}
			x.say(Claimed{x.m.Attempt, "w9"})
			days := 3 * 24 * time.Hour
			x.g.Now, x.log[len(x.log)-1].Time = start.Add(days), x.log[1].Time.Add(days)
			if f := x.g.Refuse(x.m, nil); f != nil {
				t.Errorf("refused before the log is read: %s", f.Message)
			}
			f := x.g.Refuse(x.m, x.log)
			if (f == nil) != (c.says == "") || f != nil && !strings.Contains(f.Message, c.says) {
				t.Errorf("refused: %v, want %q", f, c.says)
			}
			x.m.Continues = false
			if f := x.g.Refuse(x.m, x.log); f == nil || !strings.Contains(f.Message, "expired") {
				t.Errorf("one that begins anew is refused: %v, want that the approval has expired", f)
			}
		})
	}
}
