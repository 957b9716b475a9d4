package injection

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Injector is a worker's view of the orders. It is safe for concurrent use.
type Injector struct {
	// Kill ends this process at once; nil where other things than the worker would die with it.
	Kill func()
	// Cut cuts this process off NATS for a while; nil where that is not possible.
	Cut func(time.Duration)

	own     []Order // of the settings file
	now     func() time.Time
	logger  *slog.Logger
	mu      sync.Mutex
	stored  []Order // of the bucket
	refused map[string]bool
	counts  map[string]uint64
}

// GoBy has the injector go by another clock: the server's, once it is known, by which people's orders end. Its own orders last as
// long as they did.
func (in *Injector) GoBy(now func() time.Time) {
	shift := now().Sub(in.now())
	for i := range in.own {
		in.own[i].Made, in.own[i].Until = in.own[i].Made.Add(shift), in.own[i].Until.Add(shift)
	}
	in.now = now
}

// NewInjector makes an injector; own are the orders of the settings file. Now is the worker's clock.
func NewInjector(own []Order, now func() time.Time, logger *slog.Logger) *Injector {
	return &Injector{own: own, now: now, logger: logger, refused: map[string]bool{}, counts: map[string]uint64{}}
}

// Own returns the orders of the settings file.
func (in *Injector) Own() []Order { return in.own }

// Set replaces the orders that are stored. Those of other workers' settings are there for people only.
func (in *Injector) Set(all []Order) {
	stored := slices.DeleteFunc(slices.Clone(all), func(o Order) bool { return o.Worker != "" })
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stored = stored
}

// Pick returns the order that hits a call, the oldest first. Labels reads those of the call's run; it is called only where
// an order asks for them, and where it fails nothing with labels is injected.
func (in *Injector) Pick(c Call, labels func() (map[string]string, error)) (Order, bool) {
	now := in.now()
	for _, o := range in.about(c, now) {
		if len(o.Labels) > 0 && !in.labelled(o, labels) {
			continue
		}
		if why := in.refuses(&o, c); why != "" {
			in.refuse(&o, why)
			continue
		}
		in.count(o.ID)
		return o, true
	}
	return Order{}, false
}

func (in *Injector) about(c Call, now time.Time) (found []Order) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, all := range [][]Order{in.own, in.stored} {
		for _, o := range all {
			if o.hits(c, now) {
				found = append(found, o)
			}
		}
	}
	return found
}

func (in *Injector) labelled(o Order, read func() (map[string]string, error)) bool {
	labels, err := read()
	if err != nil {
		in.refuse(&o, "the labels of a run cannot be read: "+err.Error())
		return false
	}
	return o.labelled(labels)
}

// refuses says why this worker does not do what the order asks for; empty if it does. The worker goes by its own tools file:
// whoever writes orders does not decide what is unsafe.
func (in *Injector) refuses(o *Order, c Call) string {
	switch {
	case c.Unsafe && o.Unsafe != c.Tool:
		return "the effects of the tool are unsafe, and the fault does not name it a second time (--unsafe " + c.Tool + ")"
	case o.Kind == Kill && in.Kill == nil:
		return "this worker shares its process with other parts, which would die with it; start a worker of its own"
	case o.Kind == Partition && in.Cut == nil:
		return "this worker shares its process and connection with other parts; start a worker of its own"
	}
	return ""
}

// refuse logs, once for each order.
func (in *Injector) refuse(o *Order, why string) {
	in.mu.Lock()
	before := in.refused[o.ID]
	in.refused[o.ID] = true
	in.mu.Unlock()
	if !before {
		in.logger.Warn("a fault that was asked for is not injected: "+why, "fault_id", o.ID, "by", o.By, "tool", o.Tool, "kind", string(o.Kind))
	}
}

func (in *Injector) count(id string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.counts[id]++
}

// Counts returns how often each order was picked here.
func (in *Injector) Counts() map[string]uint64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return maps.Clone(in.counts)
}

// Kinds lists what this worker can do.
func (in *Injector) Kinds() []string {
	kinds := []string{string(Fault), string(Slow)}
	if in.Kill != nil {
		kinds = append(kinds, string(Kill))
	}
	if in.Cut != nil {
		kinds = append(kinds, string(Partition))
	}
	return kinds
}

// sorted puts the oldest orders first, so that every worker picks the same one.
func sorted(all []Order) []Order {
	slices.SortFunc(all, func(a, b Order) int {
		if c := a.Made.Compare(b.Made); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}
