package steps

import "testing"

// TestTheSpareID of a migration counts only where the end of the run says so, and no other does; keys that are to be the new run's own name it.
func TestTheSpareID(t *testing.T) {
	t.Parallel()
	e := Migrated{To: "r-m1", Next: Submitted{Keys: map[string]string{"a": "r-m1", "b": "q"}, Proof: &Proof{Key: "one"}}, Spare: &Spare{To: "r-m1-x", Proof: &Proof{Key: "two"}}, By: "mia"}
	id, next := e.Spared()
	if id != "r-m1-x" || next.Keys["a"] != "r-m1-x" || next.Keys["b"] != "q" || next.Proof.Key != "two" || e.Next.Keys["a"] != "r-m1" {
		t.Errorf("%s, %+v, %+v", id, next, e.Next)
	}
	for as, want := range map[string]string{"": "r-m1", "r-m1": "r-m1", "r-m1-x": "r-m1-x", "theirs": "r-m1"} {
		c := change{State: &State{Run: "r", final: RunMigrated, migrated: &e, Reason: e.why(e.To)}}
		c.onClosed(Closed{State: RunMigrated, GoesOnAs: as})
		if got := c.GoesOnAs(); got != want || !c.closed {
			t.Errorf("%q: it goes on as %s, want %s", as, got, want)
		}
		if want := e.why(want); c.Reason != want {
			t.Errorf("%q: %s, want %s", as, c.Reason, want)
		}
	}
	if c := (Closed{State: RunMigrated, Reason: "as it was"}).GoneOnAs("r-m1", &e); c.GoesOnAs != "" || c.Reason != "as it was" {
		t.Errorf("%+v", c)
	}
	const said = "it goes on as r-m1-x, because r-m1 is another run, under another plan, as mia said"
	if c := (Closed{State: RunMigrated}).GoneOnAs("r-m1-x", &e); c.GoesOnAs != "r-m1-x" || c.Reason != said {
		t.Errorf("%+v", c)
	}
}
