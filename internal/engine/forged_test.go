package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"belay/internal/approval"
	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/dispatch"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/wire"
	"belay/internal/worker"
)

const heldTools = `tools:
  pay:
    effects: unsafe
    approval: {when: "params.amount > 100"}
    input_schema: {type: object, required: [amount], properties: {amount: {type: number}}}
    rungs: [{http: {method: POST, url: "%[1]s/pay"}}]
  paysoon:
    effects: unsafe
    approval: {deadline: 2s, on_deadline: fail}
    rungs: [{http: {method: POST, url: "%[1]s/pay"}}]
  look:
    effects: none
    rungs: [{http: {url: "%[1]s/look"}}]
`

const heldPlan = `{name: p, steps: [{id: s, tool: pay, with: {amount: 120}}]}`

// bank is the other end: it counts what was really paid.
type bank struct {
	*rig
	signer *approval.Signer
	paid   atomic.Int64

	refused atomic.Int64
}

// The worker's observer counts refusals.
func (b *bank) Began(ctx context.Context, _ steps.StepMessage, _ map[string][]string, _ uint64) context.Context {
	return ctx
}
func (b *bank) Ended(context.Context, steps.StepMessage, steps.Event, time.Duration) {}
func (b *bank) Injected(steps.StepMessage, string)                                   {}
func (b *bank) Refused(steps.StepMessage, steps.Fault)                               { b.refused.Add(1) }

func startBank(t *testing.T) *bank {
	t.Helper()
	return startBankOf(t, heldTools, "")
}

// startBankOf is startBank with a tools file, and a file of the passkeys that its worker trusts.
func startBankOf(t *testing.T, tools, passkeys string) *bank {
	t.Helper()
	b := &bank{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/pay" {
			b.paid.Add(1)
		}
		fmt.Fprint(w, `{"ok":true}`)
	}))
	t.Cleanup(srv.Close)
	parsed, err := plan.ParseTools("tools.yaml", []byte(fmt.Sprintf(tools, srv.URL)))
	if err != nil {
		t.Fatal(err)
	}
	keys := t.TempDir()
	e, err := Start(t.Context(), Options{
		Embedded: &embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval},
		Dispatch: &dispatch.Options{Name: "d1"}, People: &PeopleOptions{Keys: keys},
		Worker: &WorkerOptions{Options: worker.Options{Name: "w1", Observer: b}, Tools: parsed, Passkeys: passkeys},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	b.rig = &rig{e, parsed}
	if b.signer, err = approval.Open(keys); err != nil {
		t.Fatal(err)
	}
	return b
}

// act does something about an escalation, with the digest that is shown.
func (b *bank) act(t *testing.T, who, id string, a people.Act) error {
	t.Helper()
	c, err := b.Desk.Card(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if c.Dossier.Approval != nil {
		a.Digest = c.Dossier.Approval.Digest
	}
	_, err = b.People.Act(t.Context(), people.Trusted(who, "test"), id, a)
	return err
}

func (b *bank) approve(t *testing.T, id string) {
	t.Helper()
	if err := b.act(t, "mia", id, people.Act{Verb: "approve"}); err != nil {
		t.Fatal(err)
	}
}

// rest follows a run until it ends or waits for a person.
func (b *bank) rest(t *testing.T, run string) *steps.State {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	last, err := b.Runs.Load(ctx, run)
	if err != nil {
		t.Fatal(err)
	}
	head := last.Seq // what is stored by now; before it the run may have rested too
	err = b.Runs.Follow(ctx, run, func(s *steps.State, _ steps.Record, _ []int) bool {
		last = s
		return s.Seq < head || s.Status() == steps.RunRunning
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// inject puts a step message into the queue, as somebody may who can write there, and waits until it was dealt with.
func (b *bank) inject(t *testing.T, m steps.StepMessage) {
	t.Helper()
	b.put(t, m.Tool, wire.EncodeStep(m), m)
}

func (b *bank) put(t *testing.T, tool string, body []byte, m steps.StepMessage) {
	t.Helper()
	n := b.Bus.Names()
	msg := bus.Message{Subject: n.Step(tool, m.RungName, m.Run, m.Attempt), Data: body}
	if _, err := b.Bus.PublishWait(t.Context(), n.StepsStream(), msg); err != nil {
		t.Fatal(err)
	}
}

func (b *bank) drained(t *testing.T) {
	t.Helper()
	n := b.Bus.Names()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); {
		left, err := b.Bus.Subjects(t.Context(), n.StepsStream(), n.StepsSubjects())
		if err == nil && len(left) == 0 {
			return
		}
	}
	t.Fatal("the queue does not get empty")
}

// granted is the approval that a run's log holds.
func (b *bank) granted(t *testing.T, run string) steps.Grant {
	t.Helper()
	s, err := b.Runs.Load(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return *s.Escalations[0].Approvals[0].Grant
}

// attack injects n messages that nobody has approved, all different, for a run that is held and one that is done, and
// says how many payments came of it.
func attack(t *testing.T, n int) (paid int64, b *bank) {
	t.Helper()
	b = startBank(t)
	b.run(t, "held", heldPlan)
	b.run(t, "done", heldPlan)
	b.approve(t, "done-1")
	if s := b.rest(t, "done"); s.Status() != steps.RunSucceeded || b.paid.Load() != 1 {
		t.Fatalf("%s, paid %d times", s.Status(), b.paid.Load())
	}
	evil, err := approval.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evil.PublishTo(t.Context(), approval.NewPublished(b.Bus)); err != nil { // as whoever reaches NATS can
		t.Fatal(err)
	}
	f := &forger{bank: b, t: t, evil: evil, used: b.granted(t, "done"), rand: rand.New(rand.NewPCG(1, 2))}
	for i := range n {
		f.forge(i)
	}
	b.drained(t)
	return b.paid.Load() - 1, b
}

// forger makes messages that must not be executed.
type forger struct {
	*bank
	t    *testing.T
	evil *approval.Signer
	used steps.Grant
	rand *rand.Rand
}

// forge injects message i; what is wrong with it depends on i, all else on chance.
func (f *forger) forge(i int) {
	m := steps.StepMessage{
		Run: "held", Attempt: steps.Attempt{Step: "s", Round: f.rand.IntN(2), Rung: 0, Try: i + 1}, Workflow: "p", Tool: "pay", RungName: "primary",
		Effects: []steps.Effects{steps.EffectsUnsafe, steps.EffectsIdempotent, steps.EffectsNone}[f.rand.IntN(3)],
		Params:  json.RawMessage(`{"amount":120}`), Key: fmt.Sprint("k", i), Definition: f.tools.Tools["pay"].Definition,
	}
	switch i % 13 {
	case 0: // nothing at all
	case 1: // signed by somebody else
		m.Grants = []steps.Grant{f.sign(f.evil, m, time.Hour)}
	case 2: // signed by somebody else, in the name of our key
		g := f.sign(f.evil, m, time.Hour)
		g.Key = f.used.Key
		m.Grants = []steps.Grant{g}
	case 3: // the approval of another run
		m.Grants = []steps.Grant{f.used}
	case 4: // the approval of a call that was made, for another try of it
		m.Run, m.Round, m.Grants = "done", 0, []steps.Grant{f.used}
		m.Try++
	case 5: // the same, made to say that it is for this run
		g := f.used
		g.Run, g.Escalation, g.Round = "held", "held-1", m.Round
		m.Grants = []steps.Grant{g}
	case 6: // more money
		m.Run, m.Round, m.Params, m.Grants = "done", 0, json.RawMessage(fmt.Sprintf(`{"amount":%d}`, 101+f.rand.IntN(1000))), []steps.Grant{f.used}
		m.Try++
	case 7: // two amounts
		m.Params = json.RawMessage(`{"amount":1,"amount":120}`)
		m.Grants = []steps.Grant{f.sign(f.evil, m, time.Hour)}
	case 8: // expired
		m.Grants = []steps.Grant{f.sign(f.signer, m, -time.Second)}
	case 9: // genuine, but nobody has decided
		m.Grants = []steps.Grant{f.sign(f.signer, m, time.Hour)}
	case 10: // given longer, given by another, or one bit of the signature
		m.Run, m.Round = "done", 0
		m.Try++
		m.Grants = []steps.Grant{f.bent()}
	case 12: // one amount for the condition, another for the tool
		m.Params = json.RawMessage(`{"amount":120,"amount":1}`)
	case 11: // for a tool that needs no approval, on its subject
		f.put(f.t, "look", wire.EncodeStep(m), m)
		return
	}
	f.inject(f.t, m)
}

func (f *forger) sign(s *approval.Signer, m steps.StepMessage, validFor time.Duration) steps.Grant {
	digest, err := f.tools.Tools["pay"].CallDigest(m.Params)
	if err != nil {
		digest = f.used.Digest
	}
	g, err := s.Sign(steps.Grant{Run: m.Run, Step: m.Step, Round: m.Round, Tool: m.Tool, Digest: digest, Escalation: m.Run + "-1", By: "mia"}, time.Now(), validFor)
	if err != nil {
		f.t.Fatal(err)
	}
	return g
}

func (f *forger) bent() steps.Grant {
	g := f.used
	g.Signature = append([]byte{}, g.Signature...)
	switch f.rand.IntN(3) {
	case 0:
		g.Expires = g.Expires.Add(time.Hour)
	case 1:
		g.By = "eve"
	default:
		g.Signature[f.rand.IntN(len(g.Signature))] ^= byte(1 + f.rand.IntN(255))
	}
	return g
}

// TestWhatNobodyApprovedIsRefused: 1,000 forged, replayed, expired, re-targeted and edited approvals and bare step
// messages in the queue: none is executed, and people are told. Then the one genuine approval still works, once.
func TestWhatNobodyApprovedIsRefused(t *testing.T) {
	t.Parallel()
	paid, b := attack(t, 1000)
	if paid != 0 {
		t.Fatalf("%d payments that nobody approved", paid)
	}
	s := b.rest(t, "held")
	alarms := 0
	for _, e := range s.Escalations {
		if e.Unit == steps.RunUnit && e.Fault.Class == steps.PolicyDenied && strings.Contains(e.Fault.Message, "refused") {
			alarms++
		}
	}
	if alarms == 0 {
		t.Error("nobody was told of the refused messages")
	}
	b.approve(t, "held-1")
	for n := range s.Escalations {
		if id := s.Escalations[n].ID; id != "held-1" {
			if err := b.act(t, "mia", id, people.Act{Verb: "skip"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	const otherwise = 2 * 77 // on another tool's subject, and again what the log says is done
	if got := b.refused.Load(); got < 1000-otherwise {
		t.Errorf("%d refusals were told to who watches the worker, want at least %d", got, 1000-otherwise)
	}
	if s := b.rest(t, "held"); s.Status() != steps.RunSucceeded || b.paid.Load() != 2 {
		t.Errorf("%s (%s), paid %d times; want succeeded and twice in all", s.Status(), s.Reason, b.paid.Load())
	}
}

// TestAToolThatChangedAfterTheApproval is refused, and the person is told what is different.
func TestAToolThatChangedAfterTheApproval(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	other := b.tools.Tools["pay"]
	b.run(t, "r", heldPlan)
	changed := map[string]string{}
	for part, sum := range other.Definition {
		changed[part] = sum
	}
	changed["rung primary"] = "somebody deployed another one"
	other.Tool.Definition = changed // the worker's own file, after the plan was submitted
	b.approve(t, "r-1")
	s := b.rest(t, "r")
	last := s.Escalations[len(s.Escalations)-1]
	if b.paid.Load() != 0 || last.Fault.Class != steps.PolicyDenied || !strings.Contains(last.Fault.Message, "different in this worker's tools file: rung primary") {
		t.Errorf("paid %d times; %+v", b.paid.Load(), last.Fault)
	}
}

// TestAnApprovalThatWaitedTooLong for its worker is refused.
func TestAnApprovalThatWaitedTooLong(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	b.run(t, "r", heldPlan)
	b.Desk.Now = func() time.Time { return time.Now().Add(-2 * time.Hour) }
	b.approve(t, "r-1")
	s := b.rest(t, "r")
	last := s.Escalations[len(s.Escalations)-1]
	if b.paid.Load() != 0 || !strings.Contains(last.Fault.Message, "expired") {
		t.Fatalf("paid %d times; %+v", b.paid.Load(), last.Fault)
	}
	b.Desk.Now = time.Now
	if err := b.act(t, "mia", last.ID, people.Act{Verb: "retry"}); err != nil { // a retry by somebody who may approve is an approval
		t.Fatal(err)
	}
	if s := b.rest(t, "r"); s.Status() != steps.RunSucceeded || b.paid.Load() != 1 {
		t.Errorf("%s, paid %d times", s.Status(), b.paid.Load())
	}
}
