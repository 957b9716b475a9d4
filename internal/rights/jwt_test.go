package rights_test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestKeysAreUsedAgain: JWTs that are made anew in the same folder are of the same keys, so that credentials stay good.
func TestKeysAreUsedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files, err := layout.JWTs(dir)
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		before[f] = string(b)
	}
	again, err := layout.JWTs(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range again { // those that were there are not made again
		if filepath.Ext(f) == ".nk" {
			t.Errorf("%s was made again", f)
		}
	}
	for f, was := range before {
		if b, err := os.ReadFile(f); filepath.Ext(f) == ".nk" && (err != nil || string(b) != was) {
			t.Errorf("%s is another key now: %v", f, err)
		}
	}
}
