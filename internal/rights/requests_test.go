package rights_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/access"
	"belay/internal/access/accesstest"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// office is a dispatcher under the permissions, which knows tokens, and programs that ask it as the submitter's user.
type office struct {
	place
	t      testing.TB
	tokens *access.Tokens
	admin  *engine.Engine // with the rights of the dispatcher's user
	log    *complaints
}

func open(t testing.TB, named func([]byte) (string, bool)) *office {
	t.Helper()
	o := &office{place: startLayout(t, layout), t: t, log: &complaints{}}
	letIn := func(_ context.Context, shown wire.Shown, _ string) (people.Actor, error) {
		who, _, err := o.tokens.CheckShown(shown, o.tokens.Now())
		return who, err
	}
	o.admin = o.start("dispatcher", "", engine.Options{Setup: true, Partitions: layout.Partitions, Dispatch: &dispatch.Options{Name: "d1"},
		People: &engine.PeopleOptions{Keys: t.TempDir(), LetIn: letIn, Named: named}})
	o.tokens = accesstest.Open(t, o.admin.Bus)
	return o
}

func (o *office) start(user, token string, e engine.Options) *engine.Engine {
	o.t.Helper()
	e.Connect, e.Token = as(o.place, user, o.log), token
	e.Logger = e.Connect.Logger
	started, err := engine.Start(o.t.Context(), e)
	if err != nil {
		o.t.Fatalf("%s: %v\n%v", user, err, o.log.list())
	}
	o.t.Cleanup(started.Stop)
	return started
}

// as is a program that submits, with a token of its own; empty = without one.
func (o *office) as(token string) *runlog.Log {
	return o.start("submitter", token, engine.Options{}).Runs
}

func (o *office) token(name string, role people.Role, l people.Limits) string {
	o.t.Helper()
	text, made, err := o.tokens.Make(o.t.Context(), access.Token{Name: name, Role: role, Limits: l}, o.tokens.Now())
	if err != nil {
		o.t.Fatal(err)
	}
	accesstest.Eventually(o.t, "the token is known", func() bool {
		_, why, err := o.tokens.Check(text, o.tokens.Now())
		return err == nil && why == ""
	})
	_ = made
	return text
}

const officeTools = `tools:
  look: {effects: none, rungs: [{command: {argv: [cat]}}]}
  pay: {effects: unsafe, rungs: [{command: {argv: [cat]}}]}
`

func officePlan(t testing.TB, tool string) steps.Submitted {
	t.Helper()
	tools, err := plan.ParseTools(filepath.Join(t.TempDir(), "tools.yaml"), []byte(officeTools))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := plan.ParsePlan("plan.yaml", []byte("name: "+tool+"\ninput: {n: 1}\nsteps: [{id: a, tool: "+tool+"}]\n"), tools)
	if err != nil {
		t.Fatal(err)
	}
	return steps.Submitted{Document: doc.JSON, Input: []byte(`{"n":1}`), By: "somebody else"}
}

// TestWhoAsksOverNATSNeedsTheRights: what HTTP asks for, a dispatcher asks for too, and who is proven is who has asked.
func TestWhoAsksOverNATSNeedsTheRights(t *testing.T) {
	t.Parallel()
	look, pay := officePlan(t, "look"), officePlan(t, "pay")
	o := open(t, func(doc []byte) (string, bool) { return "look", string(doc) == string(look.Document) })
	whole := people.Limits{Tools: []string{"look"}, WholePlans: true}
	mia, ben := o.as(o.token("mia", people.Submitter, whole)), o.as(o.token("ben", people.Submitter, people.Limits{Plans: []string{"look"}}))
	viewer, operator := o.as(o.token("vic", people.Viewer, people.Limits{})), o.as(o.token("ola", people.Operator, people.Limits{}))
	admin, nobody := o.as(o.token("ada", people.Admin, people.Limits{})), o.as("")
	forged := o.as(wire.Token("0123456789abcdef", strings.Repeat("A", 43)))
	ctx := t.Context()
	start := func(l *runlog.Log, run string, s steps.Submitted) error { _, err := l.Submit(ctx, run, s); return err }
	cancel := func(l *runlog.Log, run string) error {
		_, err := l.Cancel(ctx, run, steps.Cancelled{By: "ada", Reason: "x"})
		return err
	}
	retry := func(l *runlog.Log, run string) error {
		_, err := l.Retry(ctx, run, "", runlog.Retried{By: "ada"})
		return err
	}
	for _, x := range []struct {
		what string
		got  error
		want error
	}{
		{"the server's plan", start(ben, "ben-1", look), nil},
		{"the same again", start(ben, "ben-1", look), nil},
		{"another plan than the token's", start(ben, "ben-2", pay), people.ErrForbidden},
		{"the server's plan, as one of their own", start(mia, "mia-1", look), nil},
		{"unsafe effects", start(mia, "mia-2", pay), people.ErrForbidden},
		{"a viewer", start(viewer, "vic-1", look), people.ErrForbidden},
		{"an operator: the server's plan", start(operator, "ola-1", look), nil},
		{"an operator: one of their own", start(operator, "ola-2", pay), people.ErrForbidden},
		{"an admin: one of their own", start(admin, "ada-1", pay), nil},
		{"nobody", start(nobody, "nobody-1", look), people.ErrForbidden},
		{"a token that nobody has made", start(forged, "forged-1", look), people.ErrForbidden},
		{"an input that does not fit", start(ben, "ben-3", with(look, `{"m":1}`)), runlog.ErrBadInput},
		{"nobody cancels", cancel(nobody, "ben-1"), people.ErrForbidden},
		{"a submitter cancels somebody else's run", cancel(mia, "ben-1"), runlog.ErrNoRun},
		{"a viewer cancels", cancel(viewer, "ben-1"), people.ErrForbidden},
		{"a submitter retries somebody else's run", retry(mia, "ben-1"), runlog.ErrNoRun},
		{"a run that is open", retry(ben, "ben-1"), runlog.ErrConflict},
		{"a submitter writes to somebody else's run", steer(ctx, mia, "ben-1"), runlog.ErrNoRun},
		{"to one's own, without an agent", steer(ctx, ben, "ben-1"), runlog.ErrNoAgent},
		{"one's own", cancel(ben, "ben-1"), nil},
		{"an operator cancels", cancel(operator, "ada-1"), nil},
		{"a run that has ended", retry(nobody, "ben-1"), people.ErrForbidden},
	} {
		if !errors.Is(x.got, x.want) {
			t.Errorf("%s: %v", x.what, x.got)
		}
	}
	there, err := o.admin.Runs.Submitted(ctx, "ben-1")
	if err != nil || there.By != "ben" || there.Token == "" || there.Proof == nil {
		t.Errorf("it was submitted by %+v, %v", there, err)
	}
	for _, run := range []string{"ben-2", "mia-2", "vic-1", "ola-2", "nobody-1", "forged-1", "ben-3"} {
		if there, err := o.admin.Runs.Submitted(ctx, run); err != nil || there != nil {
			t.Errorf("%s was started: %v", run, err)
		}
	}
}

func with(s steps.Submitted, input string) steps.Submitted {
	s.Input = []byte(input)
	return s
}

func steer(ctx context.Context, l *runlog.Log, run string) error {
	_, err := l.Steer(ctx, run, steps.Steered{Text: "stop", By: "ada"})
	return err
}

// TestARequestIsProvenOnce: what somebody has heard of another's request is worth nothing, to the letter or changed.
func TestARequestIsProvenOnce(t *testing.T) {
	t.Parallel()
	look := officePlan(t, "look")
	o := open(t, nil)
	token := o.token("ada", people.Admin, people.Limits{})
	if _, err := o.as(token).Submit(t.Context(), "r1", look); err != nil {
		t.Fatal(err)
	}
	evil, subject := dial(t, o.place, "submitter"), wire.Default.Requests()
	body := []byte(`{"v":1,"run":"r1","cancel":{}}`)
	proof := wire.Prove(token, wire.RequestDigest(subject, body), o.admin.Bus.Now()).String()
	ask := func(body []byte, proof string) string {
		m, err := evil.RequestMsg(&nats.Msg{Subject: subject, Data: body, Header: nats.Header{wire.HeaderProof: {proof}}}, 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var a struct {
			Failure struct{ Code string }
		}
		if err := json.Unmarshal(m.Data, &a); err != nil {
			t.Fatal(err)
		}
		return a.Failure.Code
	}
	elsewhere := wire.Prove(token, wire.RequestDigest(wire.Default.People(), body), o.admin.Bus.Now()).String()
	late := wire.Prove(token, wire.RequestDigest(subject, body), o.admin.Bus.Now().Add(-2*time.Minute)).String()
	for i, x := range []struct {
		body  []byte
		proof string
		want  string
	}{
		{body, "", "forbidden"},
		{body, "{}", "forbidden"},
		{body, elsewhere, "forbidden"},
		{body, late, "forbidden"},
		{[]byte(`{"v":1,"run":"r2","cancel":{}}`), proof, "forbidden"},
		{body, proof, ""},
		{body, proof, "forbidden"}, // once more
	} {
		if got := ask(x.body, x.proof); got != x.want {
			t.Errorf("%d: %q", i, got)
		}
	}
}

// TestManyRunsAreAskedForAtOnce, in order and with what became of each.
func TestManyRunsAreAskedForAtOnce(t *testing.T) {
	t.Parallel()
	look, pay := officePlan(t, "look"), officePlan(t, "pay")
	o := open(t, nil)
	l := o.as(o.token("mia", people.Submitter, people.Limits{Tools: []string{"look"}, WholePlans: true}))
	var all []runlog.Submission
	for i := range 300 {
		s := look
		if i%100 == 7 {
			s = pay
		}
		all = append(all, runlog.Submission{Run: "m-" + string(rune('a'+i%26)) + strings.Repeat("x", i/26), Submitted: s})
	}
	for i, s := range l.SubmitMany(t.Context(), all) {
		if i%100 == 7 {
			if !errors.Is(s.Err, people.ErrForbidden) {
				t.Errorf("%d: %v", i, s.Err)
			}
		} else if s.Err != nil || !s.Created {
			t.Errorf("%d: %+v", i, s)
		}
	}
	repeated := l.SubmitMany(t.Context(), all[:3])
	for i, s := range repeated {
		if s.Err != nil || s.Created {
			t.Errorf("%d, once more: %+v", i, s)
		}
	}
	if msgs := o.log.list(); len(msgs) > 0 {
		t.Log(msgs)
	}
}
