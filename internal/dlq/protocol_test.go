package dlq

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"belay/internal/steps"
	"belay/internal/wire"
)

// TestDocumentedEscalations reads the escalations that docs/protocol.md shows, writes them again, and compares.
func TestDocumentedEscalations(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), "<!-- wire: escalation -->\n\n```json wire\n")[1:]
	if len(parts) != 2 {
		t.Fatalf("the document shows %d escalations", len(parts))
	}
	for _, part := range parts {
		body, _, _ := strings.Cut(part, "\n```")
		var want, got any
		var l stored
		if err := json.Unmarshal([]byte(body), &l); err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		again, err := json.Marshal(stored{wire.Version, l.Entry})
		if err != nil {
			t.Fatal(err)
		}
		if json.Unmarshal([]byte(body), &want) != nil || json.Unmarshal(again, &got) != nil {
			t.Fatalf("no JSON: %s", again)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the document (-) and what is written (+) differ\n%s", diff)
		}
		if o := l.Origin; o != nil && (len(o.Raw) != o.Size || l.ID != steps.DeadLetterID(l.Run, o.Sequence)) {
			t.Errorf("%s is about %d bytes %q", l.ID, o.Size, o.Raw)
		}
	}
}
