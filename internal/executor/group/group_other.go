//go:build !unix

package group

import (
	"os"
	"os/exec"
)

// There are no process groups here, and no way to ask a program to end: only the command itself is killed, not what it
// started.

// Isolate does nothing.
func Isolate(*exec.Cmd) {}

// End ends the process.
func End(p *os.Process) error { return p.Kill() }

// Kill ends the process.
func Kill(p *os.Process) error { return p.Kill() }

// Lives is false: nobody knows.
func Lives(*os.Process) bool { return false }
