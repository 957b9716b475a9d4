package audit

import (
	"encoding/json"
	"slices"
	"testing"
)

// TestNames: an act is found by every run to which it was done, and by nothing that only looks like one.
func TestNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r     Record
		names []string // ids by which it is found
		about []string // runs that it is about beside those
	}{
		"an approval":      {Record{Action: "approve", On: "r-1", Run: "r"}, []string{"r-1"}, []string{"r"}},
		"an edit":          {Record{Action: "edit", On: "r-1", Run: "r", After: json.RawMessage(`{"run":"q"}`)}, []string{"r-1"}, []string{"r"}},
		"a cancelled run":  {Record{Action: "cancel run", On: "r", Run: "r"}, []string{"r"}, nil},
		"a migrated run":   {Record{Action: "migrate run", On: "r as r.m1", Run: "r"}, []string{"r", "r.m1", "r as r.m1"}, nil},
		"a replay":         {Record{Action: "replay run", On: "r", Run: "r2"}, []string{"r", "r2"}, nil},
		"a retry":          {Record{Action: "retry run", On: "r", Run: "r2"}, []string{"r", "r2"}, nil},
		"many at once":     {Record{Action: "cancel runs", On: "state=waiting", After: json.RawMessage(`{"where":"state=waiting","runs":["r","r2"]}`)}, []string{"state=waiting", "r", "r2"}, nil},
		"a damage":         {Record{Action: "accept damage", On: "f1", After: json.RawMessage(`{"runs":["r"]}`)}, []string{"f1", "r"}, nil},
		"a gate":           {Record{Action: "close gate", On: "pays", After: json.RawMessage(`{"id":"pays","covers":{"run":"r"}}`)}, []string{"pays", "r"}, nil},
		"a gate of all":    {Record{Action: "open gate", On: "pays", After: json.RawMessage(`{"id":"pays","covers":{"all":true}}`)}, []string{"pays"}, nil},
		"a fault":          {Record{Action: "fault add", On: "f1", After: json.RawMessage(`{"id":"f1","run":"r"}`)}, []string{"f1", "r"}, nil},
		"words to agents":  {Record{Action: "write to agent", On: "s", Run: "r"}, []string{"s"}, []string{"r"}},
		"what is not JSON": {Record{Action: "close gate", On: "pays", After: json.RawMessage(`{`)}, []string{"pays"}, nil},
	} {
		for _, id := range []string{"r", "r2", "r.m1", "r as r.m1", "r-1", "q", "pays", "f1", "s", "state=waiting"} {
			names, about := slices.Contains(c.names, id), slices.Contains(c.names, id) || slices.Contains(c.about, id)
			if c.r.Names(id) != names || c.r.About(id) != about {
				t.Errorf("%s by %q: %v and %v, want %v and %v", name, id, c.r.Names(id), c.r.About(id), names, about)
			}
		}
	}
}
