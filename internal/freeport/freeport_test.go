package freeport

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

const inChild = "BELAY_FREEPORT_CHILD"

// TestNoPortIsGivenTwice, not to another process either, although nobody listens on them yet.
func TestNoPortIsGivenTwice(t *testing.T) {
	const children, ports = 4, 250
	if os.Getenv(inChild) != "" {
		for range ports {
			_, port, err := net.SplitHostPort(Address(t))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stdout.WriteString("port " + port + "\n"); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = io.Copy(io.Discard, os.Stdin) // they stay reserved until the parent has all
		return
	}
	t.Parallel()
	lines := make(chan string)
	for range children {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoPortIsGivenTwice$")
		cmd.Env = append(os.Environ(), inChild+"=1")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = in.Close(), cmd.Wait() })
		go func() {
			for s := bufio.NewScanner(out); s.Scan(); {
				lines <- s.Text()
			}
			lines <- "end"
		}()
	}
	seen := map[string]bool{}
	for len(seen) < children*ports {
		line := <-lines
		port, is := strings.CutPrefix(line, "port ")
		if !is {
			t.Fatalf("after %d ports: %q", len(seen), line)
		}
		if seen[port] {
			t.Fatalf("port %s was given twice", port)
		}
		seen[port] = true
	}
}

func TestAPortIsFree(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", Address(t))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// TestAPortIsFreeWhileProgramsStart: a program that is being started has this process's sockets for a moment.
func TestAPortIsFreeWhileProgramsStart(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	var starting sync.WaitGroup
	for range 4 {
		starting.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = exec.Command("true").Run()
				}
			}
		})
	}
	for range 2000 {
		port, release, err := Take()
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		release()
	}
	close(stop)
	starting.Wait()
}
