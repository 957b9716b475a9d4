//go:build linux

package chaos

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"belay/internal/runlog"
	"belay/internal/steps"
)

var powerCuts = flag.Int("chaos.power", 0, "how often all servers of a cluster lose power at once; the figure in docs/reliability.md is of 10, with a control that must lose")

// disks are the disks of the servers: each a file system of its own, in a file.
type disks struct {
	dirs, images [nodeCount]string
}

// mountDisks gives each server's store a file system of its own.
func mountDisks(t *testing.T, f *fleet) *disks {
	t.Helper()
	d := &disks{}
	for n := range nodeCount {
		d.dirs[n] = filepath.Join(f.dir, nodeName(n))
		d.images[n] = d.dirs[n] + ".img"
		err := os.Mkdir(d.dirs[n], 0o700)
		if err == nil {
			err = os.WriteFile(d.images[n], nil, 0o600)
		}
		if err == nil {
			err = os.Truncate(d.images[n], 256<<20)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = exec.Command("umount", d.dirs[n]).Run() })
		out, err := exec.Command("mkfs.ext4", "-q", d.images[n]).CombinedOutput()
		if err == nil {
			out, err = d.mount(n)
		}
		if err != nil {
			t.Skipf("needs mkfs.ext4 and the right to mount (in a container --privileged): %v %s", err, out)
		}
	}
	return d
}

func (d *disks) mount(n int) ([]byte, error) {
	return exec.Command("mount", "-o", "loop", d.images[n], d.dirs[n]).CombinedOutput()
}

// shutdown is EXT4_IOC_SHUTDOWN: the file system writes nothing from now on, also not what it has noted in its journal and not synced.
const (
	shutdown   = 0x8004587d
	noLogFlush = 2
)

// lose takes the power from a disk.
func (d *disks) lose(n int) error {
	dir, err := os.Open(d.dirs[n])
	if err != nil {
		return err
	}
	defer dir.Close()
	how := uint32(noLogFlush)
	if _, _, no := syscall.Syscall(syscall.SYS_IOCTL, dir.Fd(), shutdown, uintptr(unsafe.Pointer(&how))); no != 0 { //nolint:gosec // an ioctl has no other form
		return no
	}
	return nil
}

// again mounts a disk anew, as a machine does that comes up: what had not reached it is not there.
func (d *disks) again(n int) error {
	out, err := exec.Command("umount", d.dirs[n]).CombinedOutput()
	for limit := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(limit); { // its process is just ending
		time.Sleep(50 * time.Millisecond)
		out, err = exec.Command("umount", d.dirs[n]).CombinedOutput()
	}
	if err == nil {
		out, err = d.mount(n)
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// cutPower takes the power from all servers at once, and gives it back.
func (d *disks) cutPower(t *testing.T, f *fleet) {
	t.Helper()
	f.hook(func(m member) {
		if m.role == asNode {
			if err := d.again(m.n); err != nil {
				t.Error(err)
			}
		}
	})
	defer f.hook(nil)
	for n := range nodeCount {
		if err := d.lose(n); err != nil {
			t.Skipf("the file system cannot lose its power: %v", err)
		}
	}
	var all sync.WaitGroup
	for n := range nodeCount {
		all.Go(func() { f.kill(member{asNode, n}) })
	}
	all.Wait()
}

// TestAClusterLosesPower: all three servers lose power at once, again and again, while runs are submitted, each of which pays twice with
// a tool that must not be repeated. As a control, servers that sync every two minutes, which is NATS's default, lose runs that were
// accepted.
func TestAClusterLosesPower(t *testing.T) {
	if testing.Short() || *powerCuts == 0 {
		t.Skip("-chaos.power 10 cuts the power")
	}
	bin := build(t, "")
	t.Run("synced", func(t *testing.T) {
		c := &nodes{members: fleetOf(2, 3), always: true}
		f := c.prepare(t, bin)
		d := mountDisks(t, f)
		c.begin(t, f, newWorld(t))
		s := c.stream(t.Context(), "power", everyRun)
		var after time.Duration
		for i := range *powerCuts {
			pause(t.Context(), time.Second)
			d.cutPower(t, f)
			took := c.goneOn(t, s, fmt.Sprint("powered", i))
			after = max(after, took)
			t.Logf("power cut %d: a run that was submitted afterwards ended after %s", i+1, short(took))
		}
		s.stop()
		t.Logf("%d power cuts: a run that was submitted afterwards ended after at most %s", *powerCuts, short(after))
		c.account(t, s, "power cuts")
	})
	if *powerCuts > 1 {
		t.Run("control", func(t *testing.T) { unsynced(t, bin) })
	}
}

// unsynced is the control: the same, with servers that do not sync before they confirm.
func unsynced(t *testing.T, bin string) {
	c := &nodes{members: fleetOf(1, 1)}
	f := c.prepare(t, bin)
	d := mountDisks(t, f)
	c.begin(t, f, newWorld(t))
	accepted := 0
	for n := range 50 {
		if _, err := c.runs.Submit(t.Context(), runID(1000+n), steps.Submitted{Document: c.doc.JSON, Input: json.RawMessage(`{"n":1}`)}); err == nil {
			accepted++
		}
	}
	d.cutPower(t, f)
	kept := map[string]bool{}
	for limit := time.Now().Add(30 * time.Second); time.Now().Before(limit) && len(kept) < accepted; pause(t.Context(), 200*time.Millisecond) {
		page, err := c.runs.List(t.Context(), runlog.Filter{})
		if err != nil {
			continue
		}
		for _, r := range page.Items {
			if strings.HasPrefix(r.ID, "run10") {
				kept[r.ID] = true
			}
		}
	}
	t.Logf("without sync: %d of %d runs that were accepted are lost", accepted-len(kept), accepted)
	if accepted == 0 || len(kept) == accepted {
		t.Errorf("%d accepted, none lost: this test would not notice", accepted)
	}
}
