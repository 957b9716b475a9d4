package tally

import (
	"context"
	"os"
	"strings"

	"github.com/google/uuid"
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
	return t.file.save(t.book.head, nil)
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
