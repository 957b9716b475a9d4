package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"belay/internal/bus/bustest"
	"belay/internal/plan"
	"belay/internal/steps"
)

// TestArchive: an archive has every entry of the runs that have ended, and whatever becomes of it, it is whole or says that it is not.
func TestArchive(t *testing.T) {
	t.Parallel()
	l := New(bustest.Start(t, 2), plan.NewCache(8))
	var want []string
	for i := range 5 {
		id := fmt.Sprint("run", i)
		submit(t, l, id, submitted(t))
		if i == 3 {
			continue // it is open
		}
		if _, err := l.Cancel(t.Context(), id, steps.Cancelled{By: "mia", Reason: "<twice> \u2028"}); err != nil {
			t.Fatal(err)
		}
		appendAll(t, l, id, steps.Withdrawn{Attempt: steps.Attempt{Step: "a", Try: 1}}, steps.Closed{State: steps.RunCancelled})
		want = append([]string{id}, want...)
	}
	var file bytes.Buffer
	end, err := l.Archive(t.Context(), Filter{}, &file)
	if err != nil || end.Runs != 4 || end.Entries != 16 {
		t.Fatalf("%+v, %v", end, err)
	}
	var got []string
	_, found, err := ReadArchive(bytes.NewReader(file.Bytes()), func(r ArchiveRun, lines []byte) error {
		got = append(got, r.ID)
		if n := bytes.Count(lines, []byte("\n")); n != 4 || r.Entries != 4 || r.State != steps.RunCancelled || !bytes.Contains(lines, []byte("Belay-Act")) {
			t.Errorf("%+v with %d lines", r, n)
		}
		return nil
	})
	if err != nil || found != end || strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("%v, %+v, %v; want %v", got, found, err, want)
	}
	for range 500 {
		raw := bytes.Clone(file.Bytes())
		lines := bytes.SplitAfter(raw, []byte("\n"))
		at, n := rand.N(len(raw)), rand.N(len(lines)-1)
		what := ""
		switch rand.N(4) {
		case 0:
			what, raw = fmt.Sprint("cut at ", at), raw[:at]
		case 1:
			raw[at] ^= 1 << rand.N(8)
			what = fmt.Sprint("another byte at ", at)
		case 2:
			lines[n] = nil
			what, raw = fmt.Sprint("without line ", n), bytes.Join(lines, nil)
		case 3:
			lines[n] = bytes.Repeat(lines[n], 2)
			what, raw = fmt.Sprint("line twice ", n), bytes.Join(lines, nil)
		}
		if _, _, err := ReadArchive(bytes.NewReader(raw), nil); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}
