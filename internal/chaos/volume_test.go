//go:build linux

package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// volume is a file system of its own in a file, which can lose its power.
type volume struct{ dir, image string }

// newVolume makes one and mounts it, or skips the test where that is not possible.
func newVolume(t *testing.T, dir string) *volume {
	t.Helper()
	v := &volume{dir, dir + ".img"}
	if err := errors.Join(os.Mkdir(v.dir, 0o700), os.WriteFile(v.image, nil, 0o600), os.Truncate(v.image, 256<<20)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", v.image).CombinedOutput(); err != nil {
		t.Skipf("needs mkfs.ext4: %v %s", err, out)
	}
	if err := v.mount(); err != nil {
		t.Skipf("needs the right to mount a file system (in a container --cap-add SYS_ADMIN and loop devices): %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(v.dir, syscall.MNT_DETACH) })
	return v
}

func (v *volume) mount() error {
	out, err := exec.Command("mount", "-o", "loop", v.image, v.dir).CombinedOutput()
	if err != nil {
		return errors.New(strings.TrimSpace(string(out)))
	}
	return nil
}

// again mounts it anew, as a machine does that comes up: what had not reached the disk is not there.
func (v *volume) again() error {
	err := syscall.Unmount(v.dir, 0)
	for limit := time.Now().Add(time.Minute); errors.Is(err, syscall.EBUSY) && time.Now().Before(limit); { // its process is just ending
		time.Sleep(50 * time.Millisecond)
		err = syscall.Unmount(v.dir, 0)
	}
	return errors.Join(err, v.mount())
}

// off takes the power from the file system: nothing that is written from now on, and nothing that was not synced, reaches the disk.
// The process that uses it is stopped before: a machine without power answers nobody, and Linux may say of a sync that is under
// way just then that it was done.
func (v *volume) off(process int) error {
	if err := halt(process); err != nil {
		return err
	}
	const (
		shutdown   = 0x8004587d // EXT4_IOC_SHUTDOWN
		noLogFlush = uint32(2)
	)
	dir, err := os.Open(v.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	how := noLogFlush
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, dir.Fd(), shutdown, uintptr(unsafe.Pointer(&how))); errno != 0 {
		return errno
	}
	return nil
}

// halt stops a process, and waits until none of its threads runs: one that is in the kernel stops when it comes back.
func halt(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); time.Sleep(time.Millisecond) {
		threads, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat")
		if err != nil || len(threads) == 0 {
			return fmt.Errorf("process %d is not there: %w", pid, err)
		}
		if !slices.ContainsFunc(threads, running) {
			return nil
		}
	}
	return fmt.Errorf("process %d does not stop", pid)
}

// running reports whether a thread may still do something of its own.
func running(stat string) bool {
	text, err := os.ReadFile(stat)
	if err != nil {
		return false // it has ended
	}
	state := text[bytes.LastIndexByte(text, ')')+2:] // the name before it may have anything in it
	return state[0] != 'T' && state[0] != 'D'
}
