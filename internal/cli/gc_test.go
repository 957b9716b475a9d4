package cli

import "testing"

func TestALargeHeapGrowsLess(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 200, 4 << 20: 200, 64 << 20: 200, 128 << 20: 125, 256 << 20: 62, 800 << 20: 25, 10 << 30: 25} {
		if got := percentFor(live); got != want {
			t.Errorf("%d MiB in use: it may grow by %d %%, want %d", live>>20, got, want)
		}
	}
}
