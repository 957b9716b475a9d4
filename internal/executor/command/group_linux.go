package command

import (
	"os/exec"
	"syscall"
)

// isolate gives the command a process group of its own and lets it die with the worker. The caller must hold its
// thread for as long as the command runs: see [syscall.SysProcAttr.Pdeathsig].
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
