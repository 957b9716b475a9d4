//go:build !unix

package command

import (
	"os"
	"os/exec"
)

// There are no process groups here: only the command itself is ended, not what it started.
func isolate(*exec.Cmd) {}

func killGroup(p *os.Process) error { return p.Kill() }
