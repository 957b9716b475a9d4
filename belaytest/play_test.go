package belaytest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belay/belaytest"
	"belay/belaytype"
)

// files writes the tools and a plan of the tests above into a folder.
func files(t testing.TB) (planPath string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"tools.yaml": tools, "refund.yaml": refund} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "refund.yaml")
}

// The lookup fails twice and is retried after a while; the payment is made, the answer gets lost, and the probe finds it.
func TestPlayedOnAVirtualClock(t *testing.T) {
	t.Parallel()
	began := time.Now()
	belaytest.Play(t, files(t)).
		Fail("lookup", belaytype.Unavailable, 2).
		FailActed("refund", belaytype.Timeout, 1).
		Ends(belaytype.Succeeded).
		AsksNobody().
		Effects("payments.refund", 1).
		Within(2 * time.Minute)
	if d := time.Since(began); d > time.Minute {
		t.Errorf("it took %s", d)
	}
}

func TestPlayedFallbacks(t *testing.T) {
	t.Parallel()
	belaytest.Play(t, files(t)).Input("amount", 500).
		Fail("lookup", belaytype.NotFound, 0).Fail("lookup.replica", belaytype.ToolError, 0).
		Person(belaytype.Approve).
		Ends(belaytype.Degraded).Degraded("lookup", "fixed").Asks(belaytype.KindApproval, "refund").Effects("payments.refund", 1)
	belaytest.Play(t, files(t)).Input("amount", 500).Nobody().Ends(belaytype.Waiting).Effects("payments.refund", 0)
	belaytest.Play(t, files(t)).Input("amount", 500).Person(belaytype.Reject).Ends(belaytype.Failed).Effects("payments.refund", 0)
}

func TestPlayedTroubles(t *testing.T) {
	t.Parallel()
	belaytest.Play(t, files(t)).Suffer("refund", "killed-after", 1).Suffer("lookup", "503", 1).Ends(belaytype.Succeeded).Effects("payments.refund", 1)
}

// TestPlayedCalls: the calls of an agent are named by turn and position, each on its own.
func TestPlayedCalls(t *testing.T) {
	t.Parallel()
	plan := filepath.Join("..", "examples", "agent", "plan.yaml")
	belaytest.Play(t, plan).Person(belaytype.Approve).Ends(belaytype.Succeeded).Effects("payments.refund", 1)
	belaytest.Play(t, plan).Person(belaytype.Approve).Fail("resolve~t1.1", belaytype.NotFound, 0).Fail("resolve~t1.2.primary", belaytype.NotFound, 0).Ends(belaytype.Succeeded).Effects("payments.refund", 0)
	belaytest.Play(t, plan).Person(belaytype.Approve).Fail("resolve~t1.smaller", belaytype.NotFound, 0).Ends(belaytype.Succeeded).Effects("payments.refund", 1)
}

func TestPlayedStories(t *testing.T) {
	t.Parallel()
	path := files(t)
	story := "plan: refund.yaml\nworld: [{step: lookup, class: not_found}]\nexpect: {ends: degraded, degraded: [lookup.replica]}\n"
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "gone.story.yaml"), []byte(story), 0o600); err != nil {
		t.Fatal(err)
	}
	belaytest.Stories(t, filepath.Join(filepath.Dir(path), "*.story.yaml"))
}

// TestPlayedWrong: a story that does not hold says what happened, and one that cannot be played says why.
func TestPlayedWrong(t *testing.T) {
	t.Parallel()
	for want, test := range map[string]func(tb testing.TB){
		"the run is degraded, want succeeded\n": func(tb testing.TB) {
			belaytest.Play(tb, files(tb)).Fail("lookup", belaytype.NotFound, 0).Ends(belaytype.Succeeded)
		},
		"lookup/0-0-1 failed, not_found: the test says so": func(tb testing.TB) {
			belaytest.Play(tb, files(tb)).Fail("lookup", belaytype.NotFound, 0).AsksNobody().Effects("payments.refund", 7)
		},
		`there is no rung "" of step "look"; there are lookup.primary`: func(tb testing.TB) {
			belaytest.Play(tb, files(tb)).Fail("look", belaytype.NotFound, 0).Ends(belaytype.Succeeded)
		},
		`lookup.primary has no fault "tired"`: func(tb testing.TB) {
			belaytest.Play(tb, files(tb)).Suffer("lookup", "tired", 0).Ends(belaytype.Succeeded)
		},
		`there is no class of faults "tired"`: func(tb testing.TB) { belaytest.Play(tb, files(tb)).Fail("lookup", "tired", 0) },
		"say what happens before what you expect": func(tb testing.TB) {
			belaytest.Play(tb, files(tb)).Ends(belaytype.Succeeded).Fail("lookup", belaytype.NotFound, 0)
		},
		"no such file":               func(tb testing.TB) { belaytest.Play(tb, "nowhere.yaml").Ends(belaytype.Succeeded) },
		"the plan has no such input": func(tb testing.TB) { belaytest.Play(tb, files(tb)).Input("colour", 1).Ends(belaytype.Succeeded) },
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			f := &failing{TB: t}
			if text := f.run(test); !strings.Contains(text, want) {
				t.Errorf("it says:\n%s", text)
			}
		})
	}
}
