package steps

import "testing"

func TestSamePerson(t *testing.T) {
	t.Parallel()
	for _, same := range [][2]string{{"mia", "Mia"}, {"mia", " mia\t"}, {"mia", "ｍｉａ"}, {"José", "JOSE\u0301"}, {"straße", "STRAẞE"}, {"σίσυφος", "ΣΊΣΥΦΟΣ"}, {"", "\u200b "}} {
		if !SamePerson(same[0], same[1]) {
			t.Errorf("%q and %q are two people", same[0], same[1])
		}
	}
	for _, other := range [][2]string{{"mia", "mi a"}, {"mia", "mia2"}, {"ann", "anna"}, {"mia", ""}} {
		if SamePerson(other[0], other[1]) {
			t.Errorf("%q and %q are one person", other[0], other[1])
		}
	}
}
