//go:build linux

package chaos

import (
	"errors"
	"os"
	"os/exec"
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
	for limit := time.Now().Add(10 * time.Second); errors.Is(err, syscall.EBUSY) && time.Now().Before(limit); { // its process is just ending
		time.Sleep(50 * time.Millisecond)
		err = syscall.Unmount(v.dir, 0)
	}
	return errors.Join(err, v.mount())
}

// off takes the power from the file system: nothing that is written from now on, and nothing that was not synced, reaches the disk.
func (v *volume) off() error {
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
