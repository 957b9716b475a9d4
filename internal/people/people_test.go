package people

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"belay/internal/steps"
)

func TestRoles(t *testing.T) {
	t.Parallel()
	for a, least := range map[Action]Role{Claim: Operator, Retry: Operator, Abort: Operator, Cancel: Operator, Steer: Operator, Approve: Approver, Reject: Approver, "whatever comes": Approver} {
		enough := false
		for _, r := range Roles() {
			enough = enough || r == least
			err := Actor{Name: "mia", Role: r}.May(a)
			if (err == nil) != enough {
				t.Errorf("%s may %s: %v", r, a, err)
			}
			if err != nil && (!errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), "mia is "+string(r))) {
				t.Error(err)
			}
		}
	}
	for _, r := range []Role{"", "root", "Admin", "Submitter"} {
		for _, a := range Actions() {
			if (Actor{Name: "eve", Role: r, Limits: Limits{Tools: []string{"*"}, WholePlans: true}}).May(a) == nil {
				t.Errorf("%q may %s", r, a)
			}
		}
	}
}

// TestASubmitterDecidesNothing, whatever its limits are; without limits it starts nothing of its own either.
func TestASubmitterDecidesNothing(t *testing.T) {
	t.Parallel()
	all := Limits{Plans: []string{"*"}, Tools: []string{"*"}, WholePlans: true, Unsafe: true}
	for _, c := range []struct {
		limits Limits
		may    []Action
	}{
		{Limits{}, []Action{Submit, LookAtOwn, CancelOwn, SteerOwn}},
		{all, []Action{Submit, SubmitWhole, CallTool, LookAtOwn, CancelOwn, SteerOwn}},
	} {
		for _, a := range Actions() {
			err := Actor{Name: "ci", Role: Submitter, Limits: c.limits}.May(a)
			if (err == nil) != slices.Contains(c.may, a) {
				t.Errorf("%s with %+v: %v", a, c.limits, err)
			}
			if err != nil && !strings.Contains(err.Error(), "ci is submitter, which starts runs and sees, cancels and retries its own; to "+string(a)+" takes ") {
				t.Error(err)
			}
		}
	}
	if err := (Actor{Name: "eve", Role: Viewer}).May(Submit); err == nil || !strings.HasSuffix(err.Error(), "takes submitter or operator") {
		t.Error(err)
	}
}

// TestLimits: what no pattern names is not started, and no other role is asked for patterns.
func TestLimits(t *testing.T) {
	t.Parallel()
	ci := Actor{Name: "ci", Role: Submitter, Limits: Limits{Plans: []string{"refund", "mail-*"}, Tools: []string{"orders.*"}}}
	for name, ok := range map[string]bool{"refund": true, "mail-": true, "mail-a.b": true, "refunds": false, "mail": false, "": true, "orders.x": false, "*": false, "mail-*": true} {
		if err := ci.MayStart(name, ""); (err == nil) != ok || err != nil && !errors.Is(err, ErrForbidden) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, ok := range map[string]bool{"orders.lookup": true, "orders": false, "xorders.a": false, "refund": false} {
		if err := ci.MayStart("", name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	if ci.MayUseUnsafe("x") == nil || (Actor{Role: Operator}).MayUseUnsafe("x") != nil || (Actor{Role: Operator}).MayStart("any", "") != nil {
		t.Error("unsafe")
	}
}

// TestEveryVerbHasARole: a verb of the core that is not in the table would take an approver unnoticed.
func TestEveryVerbHasARole(t *testing.T) {
	t.Parallel()
	for _, v := range []steps.Verb{steps.VerbApprove, steps.VerbReject, steps.VerbRetry, steps.VerbEdit, steps.VerbAnswer, steps.VerbSkip, steps.VerbVerify, steps.VerbAbort} {
		if _, ok := needs[Action(v)]; !ok || !Action(v).Decides() {
			t.Errorf("%s has no role, or decides nothing", v)
		}
	}
}

// TestRightsAreAskedEachTime: what was begun with a token goes on only while the token is good.
func TestRightsAreAskedEachTime(t *testing.T) {
	t.Parallel()
	revoked := errors.New("the token is not valid")
	var now error
	mia := Actor{Name: "mia", Role: Admin, Valid: func() error { return now }}
	if err := mia.May(Approve); err != nil {
		t.Fatal(err)
	}
	if now = revoked; !errors.Is(mia.May(Retry), ErrForbidden) || !errors.Is(mia.May(Retry), revoked) {
		t.Error(mia.May(Retry))
	}
}

// TestTheRolesInTheManual: the table has every action and every role, and what it says of them is so.
func TestTheRolesInTheManual(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "\n| to |")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	roles := cells(rows[0])
	if !ok || len(rows) < 3 || len(roles) != len(Roles()) {
		t.Fatalf("no table of roles: %q", rows)
	}
	limits := map[string]Limits{"": {}, "yes": {}, "`--plan`": {}, "`--whole-plans`": {WholePlans: true}, "`--tool`": {Tools: []string{"*"}}}
	seen := map[Action]bool{}
	for _, row := range rows[2:] {
		all := cells(row)
		a := Action(all[0])
		seen[a] = true
		for i, cell := range all[1:] {
			given, known := limits[cell]
			may := Actor{Name: "mia", Role: Role(roles[i]), Limits: given}.May(a) == nil
			if !known || may != (cell != "") {
				t.Errorf("%s may %s: the manual says %q", roles[i], a, cell)
			}
			if !given.IsZero() && (Actor{Name: "mia", Role: Role(roles[i])}).May(a) == nil {
				t.Errorf("%s may %s without %s", roles[i], a, cell)
			}
		}
	}
	for _, a := range Actions() {
		if !seen[a] {
			t.Errorf("the manual does not say who may %s", a)
		}
	}
}

// cells are those of a row of a table in Markdown.
func cells(row string) (list []string) {
	for _, c := range strings.Split(strings.Trim(row, "|"), "|") {
		list = append(list, strings.TrimSpace(c))
	}
	return list
}
