//go:build unix

package command

import (
	"errors"
	"os"
	"syscall"
)

// endGroup tells the whole group that p leads or led to end.
func endGroup(p *os.Process) error { return signalGroup(p, syscall.SIGTERM) }

// killGroup ends the whole group at once.
func killGroup(p *os.Process) error { return signalGroup(p, syscall.SIGKILL) }

// groupLives reports whether something of the group still runs. What has ended and waits for its exit status to be taken
// does not.
func groupLives(p *os.Process) bool { return signalGroup(p, 0) == nil && !onlyZombies(p.Pid) }

// signalGroup reaches all that is left of a group: it keeps its number for as long as one process is in it, also after
// its leader is gone.
func signalGroup(p *os.Process, sig syscall.Signal) error {
	err := syscall.Kill(-p.Pid, sig)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
