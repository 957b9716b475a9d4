//go:build unix

package command

import (
	"errors"
	"os"
	"syscall"
)

// killGroup ends the whole group that p leads or led. A group keeps its number for as long as one process is in it,
// also after its leader is gone.
func killGroup(p *os.Process) error {
	err := syscall.Kill(-p.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
