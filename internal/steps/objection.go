package steps

import (
	"encoding/json"
	"slices"
	"strings"
)

// heardPolicy is a tool as the run sees it since workers have brought up policies of their own.
type heardPolicy struct {
	tool    Tool
	asks    Asks
	digests []string           // of the submitted policy, then of each that was brought up
	pinned  Tool               // as it was submitted
	said    []PolicyDifference // what each of the others changed
}

// PolicyDifference is what a worker's tools file made stricter than the submitted one.
type PolicyDifference struct {
	Tool    string   `json:"tool"`
	Worker  string   `json:"worker"`  // the first one that had it
	Changes []string `json:"changes"` // parts of the tool, in the words of a tools file; empty: the submitted ones are stricter
}

// maxPolicies bounds how many policies of one tool a run takes in, and how often one unit's attempt is handed back.
const maxPolicies = 8

// onObjected takes in a policy that a worker has, and lets the attempt that it handed back go on under it.
func (c *change) onObjected(e Objected) {
	i, ok := c.current(e.Attempt)
	if !ok {
		return
	}
	u := &c.Units[i]
	begun, recall := u.State() == StepRunning, u.out.recall
	diff, heard := c.hear(i, e)
	onward := c.onward(i, begun)
	c.returned(i, e.Worker, diff)
	switch {
	case recall != nil:
		c.withdrawn(i, *recall)
	case !heard && u.onward != nil && c.leftOff(i):
		c.leaveOff(i, tooManyPolicies(c.Tool(i).Name, e.Worker))
	case !heard:
		c.ask(i, KindFailure, Fault{Class: PolicyDenied, Acted: ActedNo, Message: tooManyPolicies(c.Tool(i).Name, e.Worker)})
	case c.Probing(i):
		c.queue(i, 0)
	case onward != nil && !c.Stopping(i) && !c.unapproved(i):
		u.permit.policies, u.onward = int32(c.policiesOf(i)), onward
		c.queue(i, 0)
	case c.Tool(i).Effects.Unsafe() && c.mayHaveBegun(i, begun):
		c.inDoubt(i, "it may have happened already, and the tools file of worker "+e.Worker+" says that it must not be repeated")
	case c.ending != "" && u.origin.kind != undo:
		c.become(i, PhaseCancelled)
	case c.unwanted(i) && !c.mayHaveHappened(i):
		c.notDone(i, Fault{Class: PolicyDenied, Acted: ActedNo, Message: "not done: its turn was taken back by " + c.takenBackBy(i).reason()})
	case c.unapproved(i):
		c.nextRound(i, Decided{})
		c.firstTry(i)
	default:
		u.permit.policies = int32(c.policiesOf(i))
		c.queue(i, 0)
	}
}

func tooManyPolicies(tool, worker string) string {
	return "worker " + worker + " goes by yet another definition of " + tool + ": the workers' tools files differ too much; give them all the same one, then retry"
}

// hear merges a policy into the tool of unit i. heard is false when there are too many policies already, or when the
// unit's attempts keep coming back.
func (c *change) hear(i int, e Objected) (_ PolicyDifference, heard bool) {
	u, t := &c.Units[i], c.pinned(i)
	u.permit.objections++
	h := c.heard[t.Name]
	if h == nil {
		h = &heardPolicy{tool: *t, asks: c.Program.Asks[t.Name], digests: slices.Clone(c.Program.policies[t.Name].Heard), pinned: *t}
	}
	digest, diff := e.Policy.Digest(), PolicyDifference{Tool: t.Name, Worker: e.Worker}
	if n := slices.Index(h.digests, digest); n >= 0 {
		if n > 0 {
			diff.Changes = h.said[n-1].Changes
		}
		return diff, u.permit.objections <= maxPolicies
	}
	if e.Asks == nil || len(h.digests) >= maxPolicies || u.permit.objections > maxPolicies {
		return diff, false
	}
	tool, changes := h.tool.tightened(e.Policy)
	h.asks = h.asks.joined(*e.Asks, &h.tool, e.Policy)
	h.tool, diff.Changes = tool, append([]string{}, changes...) // never null
	h.digests, h.said = append(h.digests, digest), append(h.said, diff)
	if c.heard == nil {
		c.heard = map[string]*heardPolicy{}
	}
	c.heard[t.Name] = h
	c.touch(RunUnit)
	if slices.Contains(changes, "trust") {
		c.distrustAll(t.Name)
	}
	if slices.Contains(changes, "approval") || slices.Contains(changes, "definition") {
		c.askAnew(t.Name)
	}
	return diff, true
}

// askAnew replaces the open approvals of a tool's calls by new ones: they are about the tool as it was known before.
func (c *change) askAnew(tool string) {
	for i := range c.Units {
		if c.Units[i].phase != PhaseHeld || c.pinned(i).Name != tool {
			continue
		}
		c.supersede(i)
		c.firstTry(i)
	}
}

// joined are the expressions of tool t once b, those of policy p, count beside a.
func (a Asks) joined(b Asks, t *Tool, p ToolPolicy) Asks {
	switch {
	case t.Approval == nil:
		a.Approval = b.Approval
	case p.Approval == nil: // the tool's own rule stays
	case a.Approval == nil || b.Approval == nil:
		a.Approval = nil // one of them always asks
	default:
		a.Approval = anyOf(a.Approval, b.Approval)
	}
	if p.Verify != nil {
		a.Happened, a.Verified, a.Probes = b.Happened, b.Verified, b.Probes
	}
	return a
}

// anyOf is true when one of two conditions is. It fails when the first condition that is not false fails.
func anyOf(a, b Expr) Expr {
	return func(s Scope) (json.RawMessage, error) {
		if v, err := a(s); err != nil || string(v) != "false" {
			return v, err
		}
		return b(s)
	}
}

// returned ends the current attempt of unit i, which its worker handed back unexecuted.
func (c *change) returned(i int, worker string, diff PolicyDifference) {
	u := &c.Units[i]
	rec := u.Current()
	rec.State, rec.Ended, rec.Worker, rec.Note = AttemptReturned, c.Now, orElse(rec.Worker, worker), "not executed: "+diff.Text()
}

// Text says in words what differs.
func (d PolicyDifference) Text() string {
	if len(d.Changes) == 0 {
		return "the tools file of worker " + d.Worker + " differs from the submitted one, which is the stricter of the two"
	}
	return "the tools file of worker " + d.Worker + " is stricter than the submitted one: " + strings.Join(d.Changes, ", ")
}

// mayHaveBegun reports whether an attempt of unit i's round may have acted before its tool was known to be unsafe.
func (c *change) mayHaveBegun(i int, begun bool) bool {
	u := &c.Units[i]
	for n := len(u.Attempts) - 1; n >= 0 && u.Attempts[n].Round == u.Round; n-- {
		rec := &u.Attempts[n]
		if c.since(3) && rec.Rung == len(c.Tool(i).Rungs) {
			continue // a probe acts on nothing
		}
		if rec.Fault != nil && rec.Fault.MayHaveActed() && rec.State != AttemptWithdrawn {
			c.standOn(i, n) // that is the one in doubt
			return true
		}
	}
	return begun
}

// otherInDoubt is an attempt of unit i's round, beside the one that has just failed, that may have acted before its tool
// was known to be unsafe; -1 if there is none.
func (c *change) otherInDoubt(i int) int {
	u := &c.Units[i]
	if !c.since(4) || !c.Tool(i).Effects.Unsafe() {
		return -1
	}
	for n := len(u.Attempts) - 1; n >= 0 && u.Attempts[n].Round == u.Round; n-- {
		rec := &u.Attempts[n]
		acted := rec.Fault != nil && rec.Fault.MayHaveActed() && rec.State != AttemptWithdrawn
		begun := rec.State == AttemptReturned && !rec.Started.IsZero()
		if probe := rec.Rung == len(c.Tool(i).Rungs); !probe && (acted || begun) {
			return n
		}
	}
	return -1
}

// inDoubt hands the attempt that unit i stands on to a probe or a person.
func (c *change) inDoubt(i int, why string) {
	f := Fault{Class: Unknown, Acted: ActedMaybe, Message: why}
	rec := c.Units[i].Current()
	if rec.Fault == nil {
		rec.Fault = &f
	}
	if rec.Left != nil {
		f.Class = rec.Fault.Class // its worker has told of its end
	}
	c.unknown(i, f)
}

// unapproved reports whether unit i needs an approval that it does not have.
func (c *change) unapproved(i int) bool {
	t, u := c.Tool(i), &c.Units[i]
	if t.Approval == nil || t.Rung(u.Rung).Harmless() {
		return false
	}
	digest, err := t.CallDigest(u.Params)
	if err != nil {
		return true // awaitApproval says why
	}
	_, need := c.needsApproval(i)
	return need && !c.granted(i, digest)
}

// approvalFrom says whose tools file asks for approval of a call of unit i, where it is not the submitted one.
func (c *change) approvalFrom(i int) string {
	h := c.heard[c.pinned(i).Name]
	if h == nil || h.pinned.Approval != nil {
		return ""
	}
	n := slices.IndexFunc(h.said, func(d PolicyDifference) bool { return slices.Contains(d.Changes, "approval") })
	if n < 0 {
		return ""
	}
	return ", says the tools file of worker " + h.said[n].Worker + " (the submitted one does not ask for it)"
}

// policiesOf is how many policies of unit i's tool the run knows, the submitted one included.
func (s *State) policiesOf(i int) int {
	if h := s.heard[s.pinned(i).Name]; h != nil {
		return len(h.digests)
	}
	return 1
}

// addPolicies says under which policies the attempt has all approvals that it needs. A worker that has a policy which the
// run heard of later brings it up again, since it may ask for an approval that the attempt does not have.
func (s *State) addPolicies(m *StepMessage, i int) {
	t := s.pinned(i)
	h := s.heard[t.Name]
	switch {
	case !s.since(2):
	case h == nil:
		m.Policies = s.Program.policies[t.Name]
	default:
		n := len(h.digests)
		if !s.Probing(i) {
			n = int(s.Units[i].permit.policies)
		}
		m.Policies = &Policies{Heard: h.digests[:n:n]}
		if !s.Probing(i) {
			m.Policies.InputSchema, m.Policies.OutputSchema = h.pinned.InputSchema, h.pinned.OutputSchema
		}
	}
}

// Differences lists what workers' tools files have made stricter than the submitted one, by tool and in the order in which
// the run heard of it.
func (s *State) Differences() []PolicyDifference {
	var list []PolicyDifference
	for i := range s.Program.Nodes {
		for _, t := range s.Program.Nodes[i].tools() {
			if s.heard[t.Name] != nil && !slices.ContainsFunc(list, func(d PolicyDifference) bool { return d.Tool == t.Name }) {
				list = append(list, s.heard[t.Name].said...)
			}
		}
	}
	return list
}
