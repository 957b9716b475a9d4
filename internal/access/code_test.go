package access

import (
	"errors"
	"testing"
	"time"
)

// TestWrongCodesAreBounded: a hundred of them in a minute are refused as too many after the first ten, and the right one
// opens all the same; what is no code, or another process's, opens nothing.
func TestWrongCodesAreBounded(t *testing.T) {
	t.Parallel()
	c, now := NewCode(), time.Now()
	if len(c.Text()) < 26 || c.Text() == NewCode().Text() || c.Text() == c.Session() {
		t.Errorf("%d letters", len(c.Text()))
	}
	for n := range 100 {
		want := ErrCode
		if n >= mostWrong {
			want = ErrTooMany
		}
		if err := c.Check([]string{"", "x", c.Session(), NewCode().Text()}[n%4], now); !errors.Is(err, want) {
			t.Fatalf("number %d: %v", n, err)
		}
	}
	if err := c.Check(c.Text(), now); err != nil {
		t.Error(err)
	}
	if err := c.Check("x", now.Add(window)); !errors.Is(err, ErrCode) {
		t.Errorf("a minute later: %v", err)
	}
	if !c.IsSession(c.Session()) || c.IsSession(c.Text()) || c.IsSession("") {
		t.Error("another session counts")
	}
	var none *Code
	if none.Check("", now) == nil || none.IsSession("") {
		t.Error("no code opens")
	}
}
