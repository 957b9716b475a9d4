//go:build !unix

package command

import (
	"os"
	"os/exec"
)

// There are no process groups here, and no way to tell a program to end: only the command itself is killed, not what it
// started.
func isolate(*exec.Cmd) {}

func endGroup(p *os.Process) error { return p.Kill() }

func killGroup(p *os.Process) error { return p.Kill() }

func groupLives(*os.Process) bool { return false }
