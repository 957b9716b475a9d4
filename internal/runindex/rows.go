package runindex

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sort"
	"strings"
	"time"

	"belay/internal/runlog"
	"belay/internal/steps"
)

// rows are the runs of a partition, in the order of their submission. They hold no pointers for each run, so that the
// garbage collector has nothing to look at.
type rows struct {
	all   []row
	ids   []byte           // the ids, one behind the other
	keys  []uint64         // the keys, likewise
	place map[uint64]int32 // in all, by the hash of the id; where two ids share a hash the next hash is taken
	seed  maphash.Seed
	gone  int // rows of runs that are no longer kept
}

// row is a run.
type row struct {
	at       int64  // when it was submitted, in nanoseconds; never before that of the row before
	id       uint32 // offset in ids
	keys     uint32 // offset in keys
	workflow uint32
	faults   uint32 // offset in keys of the faults that it has met
	ended    int64  // when, in nanoseconds; 0 = it has not
	idLen    uint8
	keysLen  uint8
	met      uint8 // how many faults; unknown where its result does not say
	state    state
	partial  bool // it has more values than are in keys
}

// unknown is the number of faults of a run of whose faults the index knows nothing.
const unknown = 255

// ending is how a run has ended.
type ending struct {
	state  state
	at     int64    // when, in nanoseconds
	faults []uint64 // keys of the faults that it has met
	known  bool     // its result says which they are
}

// state is how a run has ended.
type state uint8

// What is no end of a run comes first.
const (
	open state = iota
	gone       // the run is no longer kept
	firstEnd
)

var ends = []steps.RunState{steps.RunSucceeded, steps.RunDegraded, steps.RunFailed, steps.RunAborted, steps.RunCancelled, steps.RunMigrated}

func stateOf(s steps.RunState) state {
	if i := slices.Index(ends, s); i >= 0 {
		return firstEnd + state(i)
	}
	return open
}

// mostKeys is how many values of a run can be looked for; where it has more, its log is looked at.
const mostKeys = 48

func newRows() *rows { return &rows{place: map[uint64]int32{}, seed: maphash.MakeSeed()} }

// run is what is known of a run.
type run struct {
	id       string
	at       int64
	workflow uint32
	keys     []uint64
	partial  bool
}

// find is the place of a run, -1 where it is not known; hash is where it belongs.
func (r *rows) find(id string) (place int, hash uint64) {
	hash = maphash.String(r.seed, id)
	for {
		i, ok := r.place[hash]
		if !ok {
			return -1, hash
		}
		if string(r.idOf(&r.all[i])) == id {
			return int(i), hash
		}
		hash++
	}
}

func (r *rows) idOf(w *row) []byte { return r.ids[w.id : w.id+uint32(w.idLen)] }

func (r *rows) keysOf(w *row) []uint64 { return r.keys[w.keys : w.keys+uint32(w.keysLen)] }

// add puts a run behind all others; one that is known already stays as it is, unless it was gone: then the new one counts.
func (r *rows) add(n run) (added bool) {
	i, hash := r.find(n.id)
	if i >= 0 && r.all[i].state != gone || len(n.id) > 255 {
		return false
	}
	if len(r.all) > 0 {
		n.at = max(n.at, r.all[len(r.all)-1].at)
	}
	w := row{at: n.at, id: uint32(len(r.ids)), idLen: uint8(len(n.id)), keys: uint32(len(r.keys)), keysLen: uint8(len(n.keys)), workflow: n.workflow, partial: n.partial}
	r.ids, r.keys = append(r.ids, n.id...), append(r.keys, n.keys...)
	r.place[hash] = int32(len(r.all))
	r.all = append(r.all, w)
	return true
}

// end notes how a run ended; -1 when that is no news.
func (r *rows) end(id string, e ending) (place int) {
	i, _ := r.find(id)
	if i < 0 || r.all[i].state != open {
		return -1
	}
	r.endAt(i, e)
	return i
}

func (r *rows) endAt(place int, e ending) {
	w := &r.all[place]
	w.state, w.ended, w.met, w.faults = e.state, e.at, unknown, uint32(len(r.keys))
	if e.known && len(e.faults) < unknown {
		w.met = uint8(len(e.faults))
		r.keys = append(r.keys, e.faults...)
	}
}

func (r *rows) endOf(w *row) ending {
	e := ending{state: w.state, at: w.ended, known: w.met != unknown}
	if e.known {
		e.faults = r.keys[w.faults : w.faults+uint32(w.met)]
	}
	return e
}

// drop notes that a run is no longer kept; -1 when that is no news.
func (r *rows) drop(id string) (place int) {
	i, _ := r.find(id)
	if i < 0 || !r.dropAt(i) {
		return -1
	}
	return i
}

// dropEnded is drop for a run that has ended.
func (r *rows) dropEnded(id string) (place int) {
	if i, _ := r.find(id); i >= 0 && r.all[i].state >= firstEnd {
		r.dropAt(i)
		return i
	}
	return -1
}

func (r *rows) dropAt(place int) bool {
	if r.all[place].state == gone {
		return false
	}
	r.all[place].state = gone
	r.gone++
	return true
}

// sparse reports whether most rows are of runs that are no longer kept.
func (r *rows) sparse() bool { return r.gone > 1<<12 && r.gone > len(r.all)/2 }

// dense are the same rows without those of runs that are no longer kept.
func (r *rows) dense() *rows {
	d := newRows()
	for i := range r.all {
		if w := &r.all[i]; w.state != gone {
			if d.add(r.runAt(w)) && w.state != open {
				d.endAt(len(d.all)-1, r.endOf(w))
			}
		}
	}
	return d
}

func (r *rows) runAt(w *row) run {
	return run{id: string(r.idOf(w)), at: w.at, workflow: w.workflow, keys: r.keysOf(w), partial: w.partial}
}

// wanted is a filter, as rows are compared with.
type wanted struct {
	state    steps.RunState
	only     map[string]bool // if not nil, only these runs
	workflow uint32          // 0 = any
	keys     []uint64
	since    int64
	until    int64
	ended    bool   // it must have ended, in the time below
	endSince int64  // 0 = whenever
	endUntil int64  // 0 = whenever
	faults   bool   // it must have met one
	fault    uint64 // this one; 0 = any
}

func (q *wanted) fits(r *rows, w *row) bool {
	switch {
	case w.state == gone, q.workflow != 0 && w.workflow != q.workflow:
		return false
	case q.state == "":
	case q.state.Ended():
		if w.state != stateOf(q.state) {
			return false
		}
	case w.state != open, q.only != nil && !q.only[string(r.idOf(w))]:
		return false
	}
	if !q.fitsEnd(r, w) {
		return false
	}
	if w.partial {
		return true
	}
	have := r.keysOf(w)
	for _, k := range q.keys {
		if !slices.Contains(have, k) {
			return false
		}
	}
	return true
}

// fitsEnd compares what is known of a run's end. The faults of an open run stand in its log.
func (q *wanted) fitsEnd(r *rows, w *row) bool {
	if w.state == open {
		return !q.ended
	}
	if q.ended && (w.ended < q.endSince || q.endUntil != 0 && w.ended >= q.endUntil) {
		return false
	}
	if !q.faults || w.met == unknown {
		return true
	}
	met := r.keys[w.faults : w.faults+uint32(w.met)]
	return len(met) > 0 && (q.fault == 0 || slices.Contains(met, q.fault))
}

// span is the part of the rows that was submitted in the time that q asks for.
func (q *wanted) span(r *rows) []row {
	from, to := 0, len(r.all)
	if q.since != 0 {
		from = sort.Search(to, func(i int) bool { return r.all[i].at >= q.since })
	}
	if q.until != 0 {
		to = sort.Search(to, func(i int) bool { return r.all[i].at >= q.until })
	}
	return r.all[from:max(from, to)]
}

// pick gives the newest rows behind a place that fit, at most so many, and how many fit before and behind it.
func (r *rows) pick(q *wanted, after runlog.Ref, most int) (refs []runlog.Ref, total int, more bool) {
	span := q.span(r)
	for i := len(span) - 1; i >= 0; i-- {
		w := &span[i]
		if !q.fits(r, w) {
			continue
		}
		total++
		ref := runlog.Ref{At: w.at, Open: w.state == open}
		if more || ref.At > after.At && after.ID != "" { // most rows cost no string
			continue
		}
		if ref.ID = string(r.idOf(w)); !ref.Behind(after) {
			continue
		}
		if more = len(refs) == most; !more {
			refs = append(refs, ref)
		}
	}
	return refs, total, more
}

// endingIn adds the ids that end in suffix, the newest first, at most so many.
func (r *rows) endingIn(suffix string, to []string, most int) []string {
	for i := len(r.all) - 1; i >= 0 && len(to) < most; i-- {
		w := &r.all[i]
		if id := r.idOf(w); w.state != gone && len(id) >= len(suffix) && string(id[len(id)-len(suffix):]) == suffix {
			to = append(to, string(id))
		}
	}
	return to
}

// keysOfHead are the keys of what a run can be looked for by.
func keysOfHead(h runlog.Head) (keys []uint64, partial bool) {
	for k, v := range h.Labels {
		keys = append(keys, labelKey(k, v))
	}
	if h.Owner != "" {
		keys = append(keys, ownerKey(h.Owner))
	}
	for _, name := range h.Tools {
		keys = append(keys, toolKey(name))
	}
	runlog.InputValues(h.Input, func(path, text string) { keys = append(keys, inputKey(path, text)) })
	if len(keys) > mostKeys {
		return nil, true
	}
	return keys, false
}

func labelKey(k, v string) uint64       { return key("label", k, v) }
func ownerKey(name string) uint64       { return key("owner", name) }
func inputKey(path, text string) uint64 { return key("input", path, text) }
func toolKey(name string) uint64        { return key("tool", name) }

// faultKeys are the keys of the faults that a run has met: of each the class, the reason, and both.
func faultKeys(met []string) (keys []uint64) {
	for _, word := range met {
		class, reason, both := strings.Cut(word, "/")
		keys = append(keys, faultKey(class, ""))
		if both {
			keys = append(keys, faultKey("", reason), faultKey(class, reason))
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// faultKey is the key of a class, a reason, or both; 0 where neither is given.
func faultKey(class, reason string) uint64 {
	if class == "" && reason == "" {
		return 0
	}
	return key("fault", class, reason)
}

// key is a hash that nobody can find a second text for: a list that shows a run too many reads its log for nothing.
func key(parts ...string) uint64 {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return binary.LittleEndian.Uint64(sum[:8])
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
