package importtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What a program that submits, waits and decides may cost.
const (
	mostPackages = 320
	mostBytes    = 20 << 20 // stripped
)

// heavy are packages that such a program has no use for.
var heavy = []string{
	"github.com/nats-io/nats-server", "github.com/spf13/cobra", "github.com/coreos/go-oidc", "github.com/prometheus", "go.opentelemetry.io/otel/sdk",
	"net/smtp", "html/template", "belay/internal/cli", "belay/internal/engine", "belay/internal/worker", "belay/internal/dispatch", "belay/internal/notify",
}

const thinProgram = `package main

import (
	"context"

	"belay"
	"belay/belaytype"
)

func main() {
	ctx := context.Background()
	client, err := belay.Open(ctx, belay.Options{})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	run, err := client.Submit(ctx, nil, belay.Submission{})
	if err != nil {
		panic(err)
	}
	doc, err := run.Rest(ctx)
	if err != nil {
		panic(err)
	}
	for _, id := range doc.Escalations {
		_ = client.Decide(ctx, id, belaytype.Decision{Verb: belaytype.Retry, By: "mia"})
	}
	_, _ = run.Wait(ctx)
}
`

// TestThin: a program with the public package alone links no server, console, command line, sign-in or mail.
func TestThin(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", root).Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if len(deps) > mostPackages {
		t.Errorf("package belay brings %d packages, at most %d are allowed", len(deps), mostPackages)
	}
	for _, d := range deps {
		for _, h := range heavy {
			if d == h || strings.HasPrefix(d, h+"/") {
				t.Errorf("package belay brings %s", d)
			}
		}
	}
	if testing.Short() {
		return
	}
	size := thinSize(t)
	t.Logf("%d packages, %.1f MB stripped", len(deps), float64(size)/(1<<20))
	if size > mostBytes {
		t.Errorf("a thin program has %d bytes, at most %d are allowed", size, mostBytes)
	}
}

// thinSize builds a program within this module, and gives its size.
func thinSize(t *testing.T) int64 {
	t.Helper()
	src, err := os.MkdirTemp(root, "_thin-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(src) })
	if err := os.WriteFile(filepath.Join(src, "main.go"), []byte(thinProgram), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "thin")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", bin, ".")
	build.Dir = src
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(bin)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
