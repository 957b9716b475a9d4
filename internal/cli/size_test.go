package cli

import "testing"

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"4GiB": 4 << 30, "512MiB": 512 << 20, "1000": 1000, "2 GB": 2e9, "3K": 3 << 10, "0": 0, "7B": 7, "1TiB": 1 << 40, "": 0} {
		var s Size
		if err := s.Set(text); err != nil || int64(s) != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
		again := Size(0)
		if err := again.Set(s.String()); s != 0 && (err != nil || again != s) {
			t.Errorf("%s is written %s: %v", text, s.String(), err)
		}
	}
	for _, text := range []string{"GiB", "-1", "4 apples", "4GiBB", "1.5GiB", "99999999999TiB", "4giB"} {
		var s Size
		if err := s.Set(text); err == nil {
			t.Errorf("%q is %d", text, s)
		}
	}
}
