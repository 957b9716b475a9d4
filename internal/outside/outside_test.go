package outside

import "testing"

func TestInvisible(t *testing.T) {
	for r, want := range map[rune]bool{
		'a': false, 'ü': false, '👩': false, ' ': false, '\uFE0F': false, 'م': false,
		'\n': true, 0x1B: true, 0x202E: true, 0x200B: true, 0x2028: true, 0xE0041: true, 0xE000: true,
		0x3164: true, 0x115F: true, 0x2800: true, 0xFE01: true, 0x0380: true, 0x2065: true,
	} {
		if got := Invisible(r); got != want {
			t.Errorf("%U: %v, want %v", r, got, want)
		}
	}
}
