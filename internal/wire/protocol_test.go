package wire_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"belay/internal/steps"
	"belay/internal/wire"
)

// documented are the blocks of docs/protocol.md that a comment `<!-- wire: WORD -->` stands before, by its word.
func documented(t *testing.T) (text string, blocks map[string][]string) {
	t.Helper()
	file, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks = map[string][]string{}
	for part := range strings.SplitSeq(string(file), "\n<!-- wire: ") {
		word, rest, ok := strings.Cut(part, " -->\n\n```")
		if !ok || strings.Contains(word, "\n") {
			continue // before the first comment
		}
		_, rest, _ = strings.Cut(rest, "\n")
		block, _, _ := strings.Cut(rest, "\n```")
		blocks[word] = append(blocks[word], block)
	}
	return string(file), blocks
}

// TestDocumentedBodies reads each body that docs/protocol.md shows, writes it again, and compares: so each of its fields
// is known, and none has another form. The escalations are checked where they are written, in dlq.
func TestDocumentedBodies(t *testing.T) {
	t.Parallel()
	_, blocks := documented(t)
	n := 0
	for _, kind := range []string{wire.KindPlan, wire.KindClaim, wire.KindOutcome} {
		for _, body := range blocks[kind] {
			n++
			body = strings.Replace(body, "{DOCUMENT}", `{"plan":{"name":"p"},"tools":{}}`, 1)
			e, err := wire.DecodeEvent(kind, []byte(body))
			if err != nil {
				t.Fatalf("%v\n%s", err, body)
			}
			own, again, err := wire.EncodeEvent(e)
			if err != nil || own != kind {
				t.Fatalf("%s is written on %s: %v", kind, own, err)
			}
			same(t, body, again)
			if s, is := e.(steps.Submitted); is && s.Epoch != steps.Epoch {
				t.Errorf("the document submits epoch %d, the newest is %d", s.Epoch, steps.Epoch)
			}
			if f, is := e.(steps.Failed); is && !f.Fault.Class.Known() {
				t.Errorf("%s is no class", f.Fault.Class)
			}
		}
	}
	for _, body := range blocks["step"] {
		n++
		m, err := wire.DecodeStep([]byte(body))
		if err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		same(t, body, wire.EncodeStep(m))
	}
	if n != 10 {
		t.Errorf("the document shows %d bodies, not 10", n)
	}
}

func same(t *testing.T, documented string, written []byte) {
	t.Helper()
	var want, got any
	if err := json.Unmarshal([]byte(documented), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(written, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the document (-) and what is written (+) differ\n%s", diff)
	}
}

func TestDocumentedSubjects(t *testing.T) {
	t.Parallel()
	_, blocks := documented(t)
	const run, tool, rung = "refund-1009", "payments.refund", "primary"
	n, a := wire.Default, steps.Attempt{Step: "refund", Try: 1}
	p := wire.Partition(run, 4)
	want := []string{
		n.Log(p, run, wire.KindPlan), n.Log(p, run, wire.KindOutcome), n.Outcome(p, run, tool), n.Claim(p, run, a), n.ToolClaim(p, run, tool, a), n.Step(tool, rung, run, a),
		n.StepFilter(tool, rung), n.Stop(run, a), n.Report("shop-7f3a", run), n.Escalation(steps.KindUnknown, tool, steps.EscalationID(run, 1)),
	}
	if len(blocks["subjects"]) != 1 {
		t.Fatalf("%d blocks of subjects", len(blocks["subjects"]))
	}
	if diff := cmp.Diff(want, strings.Split(blocks["subjects"][0], "\n")); diff != "" {
		t.Errorf("the program (-) and the document (+) differ\n%s", diff)
	}
}

// TestDocumentedNames looks for every name that a program outside must know.
func TestDocumentedNames(t *testing.T) {
	t.Parallel()
	text, _ := documented(t)
	n := wire.Default
	names := []string{
		n.StepsStream(), n.EscalationsStream(), n.RunsStream(0), wire.MetaPartitions, wire.HeaderRun, wire.HeaderRepeated, wire.HeaderReportTo, wire.HeaderTrace,
		n.StopAll(), n.StepConsumer("payments.refund", "primary"), "Nats-Expected-Last-Subject-Sequence",
	}
	for _, c := range steps.Classes() {
		names = append(names, string(c))
	}
	for _, k := range steps.EscalationKinds() {
		names = append(names, string(k))
	}
	for _, name := range names {
		if !strings.Contains(text, "`"+name) {
			t.Errorf("docs/protocol.md does not name %s", name)
		}
	}
	for reaction, row := range map[steps.Reaction]string{
		steps.Retry: "| tried again, then the next rung | ", steps.NextRung: "| the next rung | ", steps.Ask: "| a person | ",
	} {
		_, rest, _ := strings.Cut(text, row)
		line, _, _ := strings.Cut(rest, " |")
		listed := strings.Split(strings.ReplaceAll(line, "`", ""), ", ")
		slices.Sort(listed)
		var want []string
		for _, c := range steps.Classes() {
			if c.Reaction() == reaction {
				want = append(want, string(c))
			}
		}
		if diff := cmp.Diff(want, listed); diff != "" {
			t.Errorf("%s: the program (-) and the document (+) differ\n%s", row, diff)
		}
	}
}
