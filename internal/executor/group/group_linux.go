package group

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Isolate gives the command a process group of its own and lets it die with the worker. The caller must hold its
// thread for as long as the command runs: see [syscall.SysProcAttr.Pdeathsig].
func Isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// onlyZombies reports whether all that is left of a group has ended. The first process of a container may reap what it
// inherits late or never.
func onlyZombies(group int) bool {
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(all) == 0 {
		return false
	}
	for _, path := range all {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it is gone by now
		}
		// The name is in parentheses and may hold any; then come state, parent and group.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) > 2 && fields[2] == strconv.Itoa(group) && fields[0] != "Z" && fields[0] != "X" {
			return false
		}
	}
	return true
}
