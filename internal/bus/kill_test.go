package bus

import (
	"bufio"
	"os"
	"os/exec"
	"testing"

	"belay/internal/bus/embedded"
)

// The child of [TestConfirmedOutlivesAKill]: it publishes and prints what was confirmed, until it is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BELAY_TEST_PUBLISH_TO"); dir != "" {
		publishForEver(dir, os.Getenv("BELAY_TEST_DURABILITY"))
	}
	os.Exit(m.Run())
}

func TestConfirmedOutlivesAKill(t *testing.T) {
	t.Parallel()
	for _, durability := range []string{embedded.Fsync, embedded.Interval} {
		t.Run(durability, func(t *testing.T) {
			dir := t.TempDir()
			confirmed := killedWhilePublishing(t, dir, durability)
			_, b := start(t, dir, durability)
			all, err := b.readMany(t.Context(), b.Names().RunsStream(0), b.Names().RunsSubjects(0), 0)
			if err != nil {
				t.Fatal(err)
			}
			stored := map[string]bool{}
			for _, e := range all {
				stored[e.Subject] = true
			}
			for _, subject := range confirmed {
				if !stored[subject] {
					t.Fatalf("%s was confirmed and is not there", subject)
				}
			}
		})
	}
}

// killedWhilePublishing lists what a process had confirmed when it was killed.
func killedWhilePublishing(t *testing.T, dir, durability string) (confirmed []string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "BELAY_TEST_PUBLISH_TO="+dir, "BELAY_TEST_DURABILITY="+durability)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if confirmed = append(confirmed, lines.Text()); len(confirmed) == 3000 {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // it was killed
	if len(confirmed) < 3000 {
		t.Fatalf("only %d were confirmed", len(confirmed))
	}
	return confirmed[:len(confirmed)-1] // the last line may be cut
}
