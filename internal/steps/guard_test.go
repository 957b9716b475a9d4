package steps

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// guarded is a call that may be executed: its guard, its message and its run's log.
type guarded struct {
	g   Guard
	m   StepMessage
	log []Record
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	tool := Tool{Name: "pay", Effects: EffectsUnsafe, Approval: &Approval{Approvers: 1}, Definition: map[string]string{"effects": "e", "rung primary": "r"}}
	x := &guarded{g: Guard{Tool: &tool, Needed: true, Now: start, Check: func(g Grant) error {
		if string(g.Signature) != "good" {
			return errors.New("wrong signature")
		}
		return nil
	}}}
	x.m = StepMessage{Run: "r", Attempt: Attempt{Step: "s", Try: 1}, Tool: "pay", Effects: EffectsUnsafe, Params: json.RawMessage(`{"to":"ann","amount":1.50}`), Definition: tool.Definition}
	x.grant(t, "mia")
	x.log = []Record{{Event: Submitted{By: "sue"}}, {Event: Decided{Escalation: "r-1", Verb: VerbApprove, By: "mia", Grant: new(x.m.Grants[0])}}}
	return x
}

func (x *guarded) grant(t *testing.T, by string) {
	t.Helper()
	digest, err := x.g.Tool.CallDigest(x.m.Params)
	if err != nil {
		t.Fatal(err)
	}
	x.m.Grants = append(x.m.Grants, Grant{
		Run: "r", Step: "s", Tool: "pay", Digest: digest, Escalation: "r-1", By: by, Nonce: "n-" + by,
		Issued: start.Add(-time.Minute), Expires: start.Add(time.Minute), Key: "k", Signature: []byte("good"),
	})
}

// second lets somebody else approve as well, of two who must.
func (x *guarded) second(t *testing.T, by string, epoch int) {
	x.g.Tool.Approval.Approvers = 2
	x.grant(t, by)
	x.log[0].Event = Submitted{Epoch: epoch, By: "sue"}
	x.say(Decided{Escalation: "r-1", Verb: VerbApprove, By: by, Grant: new(x.m.Grants[1])})
}

func (x *guarded) say(e Event) { x.log = append(x.log, Record{Event: e}) }

// claimedAfter has the log get the claim of the call so long after its approval.
func (x *guarded) claimedAfter(d time.Duration) {
	x.log = append(x.log, Record{Time: x.log[1].Time.Add(d), Event: Claimed{x.m.Attempt, "w"}})
}

// passkey has the tool ask for a passkey, and one of the approver has signed a challenge.
func (x *guarded) passkey(challenge []byte) {
	x.g.Tool.Approval.Proof = ProofPasskey
	x.m.Grants[0].Passkey = &Assertion{Signature: challenge}
	x.log[0].Time = start
	x.g.Passkey = func(g Grant, of []byte) error {
		if !bytes.Equal(g.Passkey.Signature, of) {
			return errors.New("wrong challenge")
		}
		return nil
	}
}

func (x *guarded) other(try int) Attempt { return Attempt{Step: "s", Try: try} }

func TestGuard(t *testing.T) {
	t.Parallel()
	failed := func(a Attempt, acted Acted) Failed {
		return Failed{Attempt: a, Fault: Fault{Class: Unavailable, Acted: acted}}
	}
	for name, c := range map[string]struct {
		change func(*guarded)
		says   string // part of the refusal; empty = executed
	}{
		"as approved":         {func(*guarded) {}, ""},
		"no approval needed":  {func(x *guarded) { x.g.Needed, x.m.Grants = false, nil }, ""},
		"other order of keys": {func(x *guarded) { x.m.Params = json.RawMessage(` {"amount":1.50, "to":"ann"}`) }, ""},
		"no grant":            {func(x *guarded) { x.m.Grants = nil }, "the message has none"},
		"other amount":        {func(x *guarded) { x.m.Params = json.RawMessage(`{"to":"ann","amount":150}`) }, "not the ones that mia approved"},
		"amount written anew": {func(x *guarded) { x.m.Params = json.RawMessage(`{"to":"ann","amount":1.5}`) }, "not the ones"},
		"one more parameter":  {func(x *guarded) { x.m.Params = json.RawMessage(`{"to":"ann","amount":1.50,"x":1}`) }, "not the ones"},
		"a key twice":         {func(x *guarded) { x.m.Params = json.RawMessage(`{"to":"eve","to":"ann","amount":1.50}`) }, "twice"},
		"no JSON":             {func(x *guarded) { x.m.Params = json.RawMessage(`{`) }, "parameters of pay"},
		"other run":           {func(x *guarded) { x.m.Run = "q" }, "another call"},
		"other step":          {func(x *guarded) { x.m.Step = "z" }, "another call"},
		"other round":         {func(x *guarded) { x.m.Round = 1 }, "another call"},
		"other key":           {func(x *guarded) { x.m.Grants[0].CallKey = "r/s/1" }, "for the idempotency key r/s/1"},
		"the same key":        {func(x *guarded) { x.m.Grants[0].CallKey, x.m.Key = "r/s/1", "r/s/1" }, ""},
		"other tool":          {func(x *guarded) { x.m.Grants[0].Tool = "look" }, "another call"},
		"tool with other rungs": {func(x *guarded) {
			x.g.Tool.Definition = map[string]string{"effects": "e", "rung primary": "x", "rung b": "b"}
		}, "tools file: rung b, rung primary"},
		"expired":            {func(x *guarded) { x.g.Now = start.Add(7 * time.Minute) }, "expired"},
		"expired by the log": {func(x *guarded) { x.claimedAfter(2*time.Minute + time.Second) }, "expired"},
		"just in time":       {func(x *guarded) { x.claimedAfter(2 * time.Minute) }, ""},
		"not surely expired": {func(x *guarded) { x.g.Now = start.Add(time.Minute + signedWithin) }, ""},
		"surely expired":     {func(x *guarded) { x.g.Now = start.Add(time.Minute + signedWithin + 1) }, "expired"},
		"not surely from the future": {func(x *guarded) {
			x.g.Now, x.g.Within = start.Add(-time.Minute-signedWithin-time.Second), time.Second
		}, ""},
		"surely from the future": {func(x *guarded) {
			x.g.Now, x.g.Within = start.Add(-time.Minute-signedWithin-time.Second-1), time.Second
		}, "future"},
		"from the future":  {func(x *guarded) { x.g.Now = start.Add(-time.Hour) }, "future"},
		"wrong signature":  {func(x *guarded) { x.m.Grants[0].Signature = nil }, "not genuine: wrong signature"},
		"nobody's":         {func(x *guarded) { x.m.Grants[0].By = "" }, "who gave it"},
		"two are needed":   {func(x *guarded) { x.g.Tool.Approval.Approvers = 2 }, "two people"},
		"twice the same":   {func(x *guarded) { x.g.Tool.Approval.Approvers = 2; x.m.Grants = append(x.m.Grants, x.m.Grants[0]) }, "two people"},
		"one person twice": {func(x *guarded) { x.second(t, " ＭＩＡ", Epoch) }, "two people"},
		"two people":       {func(x *guarded) { x.second(t, "bo", Epoch) }, ""},
		"one person twice, in a run older than that rule": {func(x *guarded) { x.second(t, "Mia", 1) }, ""},
		"submitter, written otherwise": {func(x *guarded) {
			x.g.Tool.Approval.NotSubmitter = true
			x.log[0].Event = Submitted{Epoch: Epoch, By: "Mia "}
		}, "submitted"},
		"no passkey": {func(x *guarded) { x.g.Tool.Approval.Proof = ProofPasskey }, "came without a passkey"},
		"a passkey":  {func(x *guarded) { x.passkey(x.m.Grants[0].Challenge(start)) }, ""},
		"passkey for another": {func(x *guarded) {
			g := x.m.Grants[0]
			g.By = "eve"
			x.passkey(g.Challenge(start))
		}, "the passkey of mia did not approve this: wrong challenge"},
		"passkey for a run before": {func(x *guarded) { x.passkey(x.m.Grants[0].Challenge(start.Add(-time.Hour))) }, "wrong challenge"},
		"junk before the run": {func(x *guarded) {
			x.passkey(x.m.Grants[0].Challenge(start))
			x.log = append([]Record{{Time: start.Add(-time.Hour), Event: Cancelled{}}}, x.log...)
		}, ""},
		"no passkey trusted": {func(x *guarded) { x.passkey(nil); x.g.Passkey = nil }, "this worker trusts no passkey"},
		"not decided":        {func(x *guarded) { x.log = x.log[:1] }, "no such approval"},
		"decided otherwise":  {func(x *guarded) { x.m.Grants[0].Nonce = "m" }, "no such approval"},
		"submitter":          {func(x *guarded) { x.g.Tool.Approval.NotSubmitter = true; x.log[0].Event = Submitted{By: "mia"} }, "submitted"},
		"another submitter":  {func(x *guarded) { x.g.Tool.Approval.NotSubmitter = true }, ""},
		"own claim":          {func(x *guarded) { x.say(Claimed{Attempt: x.m.Attempt, Worker: "w"}) }, ""},
		"made-up try":        {func(x *guarded) { x.m.Try = 2 }, "no attempt before it"},
		"made-up rung":       {func(x *guarded) { x.m.Rung = 1 }, "no attempt before it"},
		"retry":              {func(x *guarded) { x.m.Try = 2; x.say(failed(x.other(1), ActedNo)) }, ""},
		"retry of a claimed": {func(x *guarded) { x.m.Try = 2; x.say(Claimed{x.other(1), "w"}); x.say(failed(x.other(1), ActedNo)) }, ""},
		"another at work":    {func(x *guarded) { x.say(Claimed{x.other(2), "w"}) }, "used up"},
		"another may have acted": {func(x *guarded) {
			x.m.Try = 2
			x.say(Claimed{x.other(1), "w"})
			x.say(failed(x.other(1), ActedMaybe))
		}, "used up"},
		"another may have acted, idempotent": {func(x *guarded) {
			x.g.Tool.Effects, x.m.Try = EffectsIdempotent, 2
			x.say(Claimed{x.other(1), "w"})
			x.say(failed(x.other(1), ActedMaybe))
		}, ""},
		"another has acted": {func(x *guarded) {
			x.m.Try = 3
			x.say(Succeeded{Attempt: x.other(2)})
			x.say(failed(x.other(1), ActedNo))
		}, "used up"},
		"taken back before":        {func(x *guarded) { x.m.Try = 2; x.say(Withdrawn{x.other(1)}) }, ""},
		"taken back by its claim":  {func(x *guarded) { x.m.Try = 2; x.say(Claimed{Attempt: x.other(1)}) }, ""},
		"itself taken back":        {func(x *guarded) { x.m.Try = 2; x.say(Withdrawn{x.m.Attempt}) }, "no attempt before it"},
		"claimed, and taken back":  {func(x *guarded) { x.m.Try = 2; x.say(Claimed{x.other(1), "w"}); x.say(Withdrawn{x.other(1)}) }, "used up"},
		"refused before approval":  {func(x *guarded) { x.log = append([]Record{{Event: Claimed{x.other(7), "w"}}}, x.log...) }, ""},
		"another round, meanwhile": {func(x *guarded) { x.say(Claimed{Attempt{Step: "s", Round: 1, Try: 1}, "w"}) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newGuarded(t)
			c.change(x)
			f := x.g.Refuse(x.m, x.log)
			switch {
			case c.says == "" && f != nil:
				t.Errorf("refused: %s", f.Message)
			case c.says != "" && (f == nil || !strings.Contains(f.Message, c.says)):
				t.Errorf("%v; want a refusal that says %q", f, c.says)
			case f != nil && (f.Class != PolicyDenied || f.Acted != ActedNo):
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestFourEyesAtTheWorker(t *testing.T) {
	t.Parallel()
	x := newGuarded(t)
	x.g.Tool.Approval.Approvers = 2
	x.grant(t, "bo")
	if f := x.g.Refuse(x.m, x.log); f == nil || !strings.Contains(f.Message, "no such approval of bo") {
		t.Errorf("%v; bo has not decided", f)
	}
	x.say(Decided{Escalation: "r-1", Verb: VerbApprove, By: "bo", Grant: &x.m.Grants[1]})
	if f := x.g.Refuse(x.m, x.log); f != nil {
		t.Errorf("refused: %s", f.Message)
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		` { "b" : 1.50 , "a":[1e3, "<é>", null,true, {}] } `: `{"a":[1e3,"<é>",null,true,{}],"b":1.50}`,
		`{"a":{"c":12345678901234567890,"b":""}}`:            `{"a":{"b":"","c":12345678901234567890}}`,
		`"x"`: `"x"`, `[]`: `[]`, `7`: `7`,
	} {
		got, err := Canonical(json.RawMessage(raw))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", raw, got, err, want)
		}
		if again, err := Canonical(got); err != nil || string(again) != want {
			t.Errorf("canonical of %s: %s, %v", want, again, err)
		}
	}
	for _, bad := range []string{``, `{`, `{"a":1,"a":1}`, `[{"a":{"b":1,"b":2}}]`, `{} {}`, `{"a"}`, `[1,]`, `{"a":1}}`, "\xff"} {
		if got, err := Canonical(json.RawMessage(bad)); err == nil {
			t.Errorf("%q: %s; want an error", bad, got)
		}
	}
}

// TestStatement: every field but the signature is signed.
func TestStatement(t *testing.T) {
	t.Parallel()
	base := Grant{Run: "r", Step: "s", Round: 1, Tool: "t", Digest: "d", Escalation: "e", By: "b", Nonce: "n", Issued: start, Expires: start, Key: "k"}
	seen := map[string]string{string(base.Statement()): "itself"}
	for name, g := range map[string]Grant{
		"run": {Run: "x"}, "step": {Step: "x"}, "round": {Round: 7}, "tool": {Tool: "x"}, "digest": {Digest: "x"}, "escalation": {Escalation: "x"},
		"by": {By: "x"}, "nonce": {Nonce: "x"}, "issued": {Issued: start.Add(1)}, "expires": {Expires: start.Add(1)}, "key": {Key: "x"},
	} {
		merged := base
		raw, _ := json.Marshal(g)
		var fields map[string]json.RawMessage
		if json.Unmarshal(raw, &fields) != nil {
			t.Fatal(raw)
		}
		one, _ := json.Marshal(map[string]json.RawMessage{name: fields[name]})
		if err := json.Unmarshal(one, &merged); err != nil {
			t.Fatal(err)
		}
		if other, twice := seen[string(merged.Statement())]; twice {
			t.Errorf("%s is not signed: the same as %s", name, other)
		}
		seen[string(merged.Statement())] = name
	}
	signed := base
	signed.Signature, signed.Issued = []byte("x"), start.In(time.FixedZone("", 3600))
	if string(signed.Statement()) != string(base.Statement()) {
		t.Error("a signature or a time zone changes what is signed")
	}
}
