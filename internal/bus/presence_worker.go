package bus

import (
	"cmp"
	"context"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"belay/internal/exactjson"
)

// WorkerService is the NATS service as which every worker announces itself, and reports what it serves and has in hand.
// Nothing is stored, so a worker that is gone is off the list at once; and nothing depends on it, so a worker that is not
// allowed to announce itself still works.
const WorkerService = "belay-worker"

// Worker is the state that a worker reports.
type Worker struct {
	Name        string    `json:"name"`        // as in the logs of runs
	Host        string    `json:"host"`        // name of its machine; empty if it does not know
	PID         int       `json:"pid"`         // its process there
	Version     string    `json:"version"`     // of the program
	Started     time.Time `json:"started"`     // when it announced itself
	Serves      []string  `json:"serves"`      // tool/rung
	Concurrency int       `json:"concurrency"` // attempts that it executes at once, at most
	Executing   int       `json:"executing"`   // attempts that it executes now
	InHand      int       `json:"in_hand"`     // messages in hand, with those that wait for a slot
	Draining    bool      `json:"draining"`    // it finishes what it has in hand, and accepts no more

	Pinned  []string     `json:"pinned,omitempty"`  // ids of the keys by which it executes what people have approved; absent: an older program, or one that was given them
	Foreign []ForeignKey `json:"foreign,omitempty"` // keys that are published and that it refuses

	Checkpoints  []string `json:"checkpoints,omitempty"`  // of the audit trail that it keeps, as dispatchers have signed them
	Contradicted string   `json:"contradicted,omitempty"` // what of the trail contradicts them; absent: nothing

	Faults *Faults `json:"faults,omitempty"` // faults on purpose that it injects; absent: none, whatever is asked for
}

// ForeignKey is a published key for which no key vouches that a worker has pinned.
type ForeignKey struct {
	ID   string `json:"id"`             // made from the key
	Host string `json:"host,omitempty"` // of whoever has published it, as that says
}

// Faults is what a worker reports that injects faults on purpose.
type Faults struct {
	Kinds    []string          `json:"kinds"`              // what it can do
	Unsafe   []string          `json:"unsafe,omitempty"`   // its tools whose effects are unsafe, by its own tools file
	Injected map[string]uint64 `json:"injected,omitempty"` // how often since it started, by the fault's id
}

// AnnounceWorker announces a worker until gone is called. State returns name, tools and figures; the rest is filled in here.
func AnnounceWorker(b *Bus, version string, state func() Worker) (gone func(), err error) {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	version = cmp.Or(version, built())
	about := map[string]string{"prefix": b.Names().Prefix, "worker": state().Name, "host": host, "version": version}
	return b.Announce(WorkerService, version, "executes steps of Belay", about, func() any {
		w := state()
		w.Host, w.PID, w.Version = host, os.Getpid(), version
		return w
	})
}

// built returns the version of the module that the program was built from.
func built() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}

// Workers asks all workers of this prefix for their state, and sorts them by name.
func (b *Bus) Workers(ctx context.Context) ([]Worker, error) {
	found, err := b.Discover(ctx, WorkerService)
	if err != nil {
		return nil, err
	}
	all := []Worker{}
	for _, it := range found {
		var w Worker
		if it.About["prefix"] != b.Names().Prefix || exactjson.Unmarshal(it.State, &w) != nil {
			continue
		}
		w.Started = it.Started
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b Worker) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.PID, b.PID)) })
	return all, nil
}
