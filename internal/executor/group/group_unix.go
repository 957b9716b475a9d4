//go:build unix && !linux

package group

import (
	"os/exec"
	"syscall"
)

// Isolate gives the command a process group of its own.
func Isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// onlyZombies cannot tell here: whoever inherits what has ended is taken to reap it.
func onlyZombies(int) bool { return false }
