package tally

import (
	"testing"
	"time"
)

// TestWhomADamageIsAbout: who was there then, and who is named; not whoever comes later, also where sequences have begun anew.
func TestWhomADamageIsAbout(t *testing.T) {
	t.Parallel()
	now := time.Now()
	end := Damage{ID: "end", Kind: Rolled, Runs: []string{"named"}, Any: true, Head: 100, Found: now}
	hole := Damage{ID: "hole", Kind: Missing, Runs: []string{"hit"}, Head: 100, Found: now}
	for _, c := range []struct {
		d         Damage
		run       string
		first     uint64
		submitted time.Time
		is, holed bool
	}{
		{end, "any", 7, now.Add(-time.Hour), true, false},
		{end, "any", 101, now, false, false},
		{end, "any", 7, now.Add(time.Hour), false, false}, // the stream was made anew since
		{end, "named", 101, now, true, false},             // submitted again: the one before may have acted
		{hole, "hit", 7, now.Add(-time.Hour), true, true},
		{hole, "hit", 101, now, true, false},
		{hole, "other", 7, now.Add(-time.Hour), false, false},
	} {
		k := &Keeper{found: damages{c.d}}
		due, open := k.Doubts(0, c.run, c.first, c.submitted)
		if is := len(due)+len(open) > 0; is != c.is || (len(due) > 0 && due[0].Hole) != c.holed {
			t.Errorf("%s, %s at %d: %v, %v", c.d.ID, c.run, c.first, due, open)
		}
	}
}
