//go:build unix

package group

import (
	"errors"
	"os"
	"syscall"
)

// End asks the whole group that p leads or led to end.
func End(p *os.Process) error { return signalGroup(p, syscall.SIGTERM) }

// Kill ends the whole group at once.
func Kill(p *os.Process) error { return signalGroup(p, syscall.SIGKILL) }

// Lives reports whether a process of the group still runs. A zombie does not.
func Lives(p *os.Process) bool { return signalGroup(p, 0) == nil && !onlyZombies(p.Pid) }

// signalGroup reaches all that is left of a group: it keeps its number for as long as one process is in it, also after
// its leader is gone.
func signalGroup(p *os.Process, sig syscall.Signal) error {
	err := syscall.Kill(-p.Pid, sig)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
