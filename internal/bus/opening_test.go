package bus

import (
	"testing"
	"time"

	"belay/internal/bus/embedded"
)

// TestALeaseOfAProcessThatIsGone: whoever has the embedded store now takes at once what an earlier process had that had it. What somebody
// has who is connected from outside, or in this process, is theirs until it runs out; and nobody outside takes anything early.
func TestALeaseOfAProcessThatIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before, err := embedded.Start(embedded.Options{StoreDir: dir, Durability: embedded.Interval})
	if err != nil {
		t.Fatal(err)
	}
	opening := before.Opening()
	before.Shutdown()
	now := serve(t, embedded.Options{StoreDir: dir, Durability: embedded.Interval})
	within := func(opening string) *Bus { return dial(t, Options{InProcess: now, Opening: opening}) }
	gone, here, also, outside := within(opening), within(now.Opening()), within(now.Opening()), connect(t, now)
	for name, c := range map[string]struct {
		has, asks *Bus
		takes     bool
	}{
		"of an earlier opening":             {gone, here, true},
		"of this process":                   {also, here, false},
		"from outside":                      {outside, here, false},
		"of an earlier opening, by another": {gone, outside, false},
		"of this process, by another":       {here, outside, false},
	} {
		t.Run(name, func(t *testing.T) {
			lease := func(b *Bus) *Lease {
				bucket, err := b.Bucket(t.Context(), "leases", "")
				if err != nil {
					t.Fatal(err)
				}
				return NewLease(bucket, "k", time.Hour)
			}
			held := lease(c.has)
			if mine, err := held.Renew(t.Context()); !mine || err != nil {
				t.Fatal(mine, err)
			}
			defer held.Resign(t.Context())
			asks := lease(c.asks)
			if takes, err := asks.Renew(t.Context()); takes != c.takes || err != nil {
				t.Errorf("it is taken: %v, %v", takes, err)
			}
			asks.Resign(t.Context())
		})
	}
}

func TestOutlivedIsOnlyWhatIsSigned(t *testing.T) {
	t.Parallel()
	gone, here := &Bus{opening: "AAAAAAAAAAAAAAAAAAAAAAAAAA"}, &Bus{opening: "BBBBBBBBBBBBBBBBBBBBBBBBBB"}
	for name, want := range map[string]bool{
		"w#" + gone.Signed("6f1c09aa"): true,
		"w#" + here.Signed("6f1c09aa"): false,
		"w#6f1c09aa":                   false,
		"":                             false,
		gone.Signed("w") + "#6f1c09aa": false, // somebody's name looks like it
		"w@embedded-1#6f1c09aa":        false,
		"w#6f1c09aa@embedded-aaaaaaaaaaaaaaaaaaaa":   false,
		"w#6f1c09aa@embedded-" + here.opening + "BB": false,
	} {
		if got := here.Outlived(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
		if (&Bus{}).Outlived(name) {
			t.Errorf("%q is outlived by somebody outside", name)
		}
	}
}
