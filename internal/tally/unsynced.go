package tally

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"belay/internal/bus"
)

// A server that confirms what is not on disk yet loses its last second where the machine goes down, and the tally may not have
// noted that second either. So the file says during which start of the machine it is kept, and whoever finds it kept during
// another one, without having ended, says that any run may have gone on. A process that was killed alone loses nothing.

// bootID is the machine's present start; empty where it has none.
func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // there is none but on Linux
	return strings.TrimSpace(string(b))
}

// keptNow notes outside the store that the tally is kept, before anything is noted in it.
func (k *Keeper) keptNow(t *part) error {
	if !k.lossy || t.book.Boot == k.boot {
		return nil
	}
	t.book.Boot = k.boot
	return errors.Join(t.file.save(t.book.head, nil), t.file.sync())
}

// besideWait is how long, after connecting, others wait for the process beside the server, if there was one.
const besideWait = time.Minute

// mayKeep reports whether this process may keep the tally. That a machine went down only the process beside its server knows, and it
// is there whenever the server is; so where the server loses its last second, nobody else keeps it.
func (k *Keeper) mayKeep(ctx context.Context, bucket *bus.Bucket) (bool, error) {
	if k.lossy {
		return true, bucket.Put(ctx, besideKey, []byte("beside"), nil)
	}
	it, there, err := bucket.Get(ctx, besideKey)
	if err != nil || !there && !k.beside {
		return err == nil, err
	}
	k.beside = true
	conn, clock := k.bus.ConnectedAt(), k.bus.Clock()
	if there && it.Time.After(clock.Latest(conn)) || time.Since(conn) < k.patience {
		return false, nil
	}
	k.beside = false // another server has the store now
	return true, bucket.Delete(ctx, besideKey)
}

// unsynced reports that the last second of a partition may be lost.
func (k *Keeper) unsynced(ctx context.Context, t *part) error {
	info, err := k.bus.About(ctx, t.stream)
	if err != nil || info.LastSeq == 0 {
		return err
	}
	return k.report(ctx, Damage{
		ID: uuid.NewString(), Kind: Unsynced, Partition: t.p, From: info.LastSeq + 1, To: info.LastSeq + 1, Runs: []string{},
		Since: t.book.Whole, Found: k.bus.Now(), Head: info.LastSeq, Any: true,
	})
}
