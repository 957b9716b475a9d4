package schedules

import (
	"strings"
	"testing"

	"belay/internal/access"
	"belay/internal/people"
)

// TestNobodyAnswersForIt: a schedule whose token was revoked fires on and is seen as such, unless its owner has another token.
func TestNobodyAnswersForIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.keeper(0)
	tokens, err := access.OpenTokens(t.Context(), r.bus)
	if err != nil {
		t.Fatal(err)
	}
	token := func(owner string) string {
		t.Helper()
		_, made, err := tokens.Make(t.Context(), access.Token{Name: "ci", Owner: owner, Role: people.Admin, By: "root"}, r.bus.Now())
		if err != nil {
			t.Fatal(err)
		}
		return made.ID
	}
	gone, other := token("mia"), token("bo")
	token("bo")
	for name, id := range map[string]string{"orphan": gone, "owned": other, "shell": ""} {
		sub := r.submission()
		sub.Token = id
		if _, err := k.book.Add(t.Context(), Schedule{Name: name, Plan: "p", By: "mia", Cron: "@daily"}, sub, false); err != nil {
			t.Fatal(err)
		}
	}
	look := func() (left []string, problem string) {
		t.Helper()
		s, err := Find(t.Context(), r.bus, r.log, "orphan", access.Ended)
		if err != nil {
			t.Fatal(err)
		}
		if left, err = LeftBehind(t.Context(), r.bus, access.Ended); err != nil {
			t.Fatal(err)
		}
		return left, s.Problem
	}
	if left, problem := look(); len(left) > 0 || strings.Contains(problem, "revoked") {
		t.Fatalf("%v, %s", left, problem)
	}
	for _, id := range []string{gone, other} {
		if err := tokens.Revoke(t.Context(), id, r.bus.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if left, problem := look(); len(left) != 1 || left[0] != "orphan (of mia)" || !strings.Contains(problem, "was revoked at") || !strings.Contains(problem, "mia has no other one") {
		t.Errorf("%v, %s", left, problem)
	}
	token("mia")
	if left, problem := look(); len(left) > 0 || strings.Contains(problem, "revoked") {
		t.Errorf("%v, %s", left, problem)
	}
}
