package view_test

import (
	"strings"
	"testing"

	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/stepstest"
)

// TestWordsOfCallsThatGoOn: whoever decides is told where an answer goes, and what is called anew and what is not.
func TestWordsOfCallsThatGoOn(t *testing.T) {
	t.Parallel()
	const begin = "tool pay effects=unsafe max=1\nstep a tool=pay\nsubmit\nclaimed a 0-0-1 w\n"
	for name, c := range map[string]struct {
		story string
		verb  steps.Verb
		says  string
	}{
		"an answer":             {begin + "asks-back a 0-0-1 w maybe s1 Which?", steps.VerbAnswer, "your answer goes to the server, and pay goes on with s1"},
		"a refusal":             {begin + "asks-back a 0-0-1 w maybe s1 Which?", steps.VerbReject, "the server is told that you decline"},
		"a skip":                {begin + "asks-back a 0-0-1 w maybe s1 Which?", steps.VerbSkip, "may have acted before it asked"},
		"a retry of a safe one": {"tool find\nstep a tool=find\nsubmit\nasks-back a 0-0-1 w maybe s1 Which?", steps.VerbRetry, "drops the question: calls find anew"},
		"an older server":       {"tool find\nstep a tool=find\nsubmit\nasks-anew a 0-0-1 w maybe s1 Which?", steps.VerbAnswer, "calls find once more, with the same idempotency key"},
		"a task in doubt":       {begin + "resumable a 0-0-1 w task-1\nfail a 0-0-1 timeout maybe", steps.VerbVerify, "looks after task-1 once more; nothing is called anew"},
		"nobody goes on":        {begin + "asks-back a 0-0-1 w maybe s1 Which?\ndecide r-1 answer {}\nunserved a 0-0-2\nclaimed a 0-0-2", steps.VerbRetry, "pay goes on with s1; nothing is called anew"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stepstest.Tell(t, c.story)
			d := view.DossierOf(s, len(s.Escalations)-1)
			for _, o := range d.Offers {
				if o.Verb == c.verb && strings.Contains(o.Effect, c.says) {
					return
				}
			}
			t.Errorf("%s says nothing like %q: %+v", c.verb, c.says, d.Offers)
		})
	}
	s := stepstest.Tell(t, begin+"resumable a 0-0-1 w task-1\nfail a 0-0-1 timeout maybe")
	if sug := view.DossierOf(s, 0).Suggestion; sug == nil || sug.Verb != steps.VerbVerify || !strings.Contains(sug.Ground, "task-1") {
		t.Errorf("suggests %+v", sug)
	}
}
