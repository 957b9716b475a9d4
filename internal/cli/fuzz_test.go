package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzNote: the note of a running server gives what was noted.
func FuzzNote(f *testing.F) {
	f.Add("nats://127.0.0.1:4222")
	f.Add("")
	f.Fuzz(func(t *testing.T, url string) {
		dir := t.TempDir()
		remove, err := LeaveNote(dir, url)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := FindServer(dir); got != url || (err == nil) != (url != "") {
			t.Fatalf("%q is read as %q, %v", url, got, err)
		}
		remove()
		if _, err := os.Stat(filepath.Join(dir, noteName)); err == nil {
			t.Fatal("the note is still there")
		}
	})
}
