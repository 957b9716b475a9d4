package worker

import (
	"sync"
	"time"

	"belay/internal/steps"
)

// Everything that a worker executes passes through its [lane], so that what may have ended a worker before is executed apart from
// everything else, see [steps.Lane]. That takes its turn: nothing else begins from then on, and once what is being executed has
// ended, it begins. The messages stay in hand meanwhile. What another program executes takes no turns, because it cannot take
// this worker with it.
//
// A worker that is killed leaves many behind that were lost once, of which one at most is to blame. So the first of them has a turn of
// its own, and each turn that ends well is followed by one of three times as many, while so many wait: a hundred begin again in five
// turns. One that does end its worker takes with it what has begun, as it did before, and is executed alone after that.

// How long turns may follow one another while other attempts wait; how long these wait for that, and for how long they are handed
// back then, so that another worker takes them.
const (
	turnsLast   = 5 * time.Second
	blockedFor  = 10 * time.Second
	handBackFor = 5 * time.Second
)

// patienceOf is how long a turn waits at first for what is being executed, and nothing else begins: then one that was lost only once
// goes on beside it.
var patienceOf = map[steps.Lane]time.Duration{steps.LaneApart: 3 * time.Second, steps.LaneAlone: 15 * time.Second}

// mostPatience bounds that in later turns.
const mostPatience = 2 * time.Minute

// lane says what may begin now.
type lane struct {
	mu      sync.Mutex
	inside  int           // attempts that have begun
	waiting int           // attempts that wait for a turn
	once    int           // those of them that were lost once
	blocked int           // other attempts that wait until they may begin
	busy    bool          // somebody has the turn
	sharing int           // attempts that have the turn together
	room    int           // how many more may share it
	width   int           // how many that were lost once could share the last turn
	passed  int           // attempts that are executed still and whose turn is over: the next one does not wait for them
	shut    time.Time     // since when nothing else may begin; zero = everything may
	first   time.Time     // when the first turn since then began; zero = none has
	open    time.Time     // until when no turn begins while others wait, so that they get their share
	changed chan struct{} // closed at the next change; nil while nobody waits for one
}

// join lets an attempt begin beside others, if that may be now.
func (l *lane) join() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.shut.IsZero() {
		return false
	}
	l.inside++
	return true
}

// leave says that an attempt has ended.
func (l *lane) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inside--
	l.tell()
}

// tell wakes whoever waits for a change. The lock is held.
func (l *lane) tell() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// hear returns what is closed at the next change. The lock is held.
func (l *lane) hear() <-chan struct{} {
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// block counts n more attempts that wait until they may begin beside others.
func (l *lane) block(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.blocked += n
	l.tell()
}

// opened waits until it is worth to [lane.join] again. False: the job need not wait any more, or that takes too long.
func (l *lane) opened(j *job, until time.Time) (open bool) {
	is := func(now time.Time) (bool, time.Duration) {
		open = l.shut.IsZero()
		return open || !now.Before(until), until.Sub(now)
	}
	if l.await(j, is) {
		l.mu.Unlock()
	}
	return open
}

// await waits until is says yes, and returns with the lock then. If not, is may say after how long it is to be asked without a
// change. False, without the lock: the job need not wait any more.
func (l *lane) await(j *job, is func(now time.Time) (yes bool, next time.Duration)) bool {
	for {
		l.mu.Lock()
		yes, next := is(time.Now())
		if yes {
			return true
		}
		changed := l.hear()
		l.mu.Unlock()
		if !j.sleep(changed, next) {
			return false
		}
	}
}

// sleep waits for a change, and for no longer than d if that is not 0.
func (j *job) sleep(changed <-chan struct{}, d time.Duration) bool {
	var over <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-changed:
	case <-over:
	case <-j.stopping:
		return false
	case <-j.stops.heard(j.signal):
		return false
	}
	return true
}

// turn is an attempt's right to be executed apart from everything else.
type turn struct {
	*lane
	of      steps.Lane
	company steps.Company // when it began
	over    bool          // it lets others begin
	passed  bool          // it does so while it is executed
}

// take waits for a turn, and then until nothing else is executed. Nil: the job need not wait any more. One that is to be executed
// alone lets the others in where what is being executed goes on for long, and waits for another turn, for longer each time: what is
// suspected does not stop a worker for as long as its longest call takes.
func (l *lane) take(j *job, of steps.Lane) *turn {
	for patience := patienceOf[of]; l.next(j, of); patience = min(2*patience, mostPatience) {
		if l.room > 0 && of != steps.LaneAlone {
			l.room--
			return l.enter(of)
		}
		if !l.drained(j, of, patience) {
			l.yield()
			return nil
		}
		if l.inside == 0 || of != steps.LaneAlone {
			l.widen(j, of)
			return l.enter(of)
		}
		l.mu.Unlock()
		l.yield()
	}
	return nil
}

// drained lets nothing begin until nothing is executed, and for no longer than it has patience. It is called and returns with the lock;
// false, without it: the job need not wait any more.
func (l *lane) drained(j *job, of steps.Lane, patience time.Duration) bool {
	l.busy = true
	if l.shut.IsZero() {
		l.shut = time.Now()
	}
	until := l.shut.Add(patience)
	l.mu.Unlock()
	return l.await(j, func(now time.Time) (bool, time.Duration) {
		return l.clear(of) || !now.Before(until), until.Sub(now)
	})
}

// clear reports whether nothing is executed that a turn waits for. The lock is held.
func (l *lane) clear(of steps.Lane) bool {
	return l.inside == 0 || of != steps.LaneAlone && l.inside == l.passed
}

// widen says how many may share the turn that begins: three times as many as could share the one before, of those that wait and have a
// slot. The lock is held.
func (l *lane) widen(j *job, of steps.Lane) {
	if l.first.IsZero() {
		l.first = time.Now()
	}
	if of == steps.LaneAlone {
		return
	}
	l.width = max(1, 3*l.width)
	l.room = max(0, min(l.width-1, l.once, cap(j.slots)-len(j.slots)-1))
	l.tell()
}

// enter begins the turn, and leaves the lock.
func (l *lane) enter(of steps.Lane) *turn {
	defer l.mu.Unlock()
	t := &turn{lane: l, of: of, company: steps.CompanyAlone}
	if l.inside+l.room > 0 {
		t.company = steps.CompanyBeside
	}
	l.inside++
	l.sharing++
	return t
}

// next waits until nobody else has the turn, or it can be shared, and the others have had their share. It returns with the lock, or
// false.
func (l *lane) next(j *job, of steps.Lane) bool {
	l.wait(of, 1)
	ok := l.await(j, func(now time.Time) (bool, time.Duration) {
		switch {
		case l.room > 0 && of != steps.LaneAlone:
			return true, 0
		case l.busy || !l.shut.IsZero() || l.blocked == 0 && l.clear(of):
			return !l.busy, 0
		}
		return !now.Before(l.open), l.open.Sub(now)
	})
	if !ok {
		l.mu.Lock()
		defer l.mu.Unlock()
	}
	l.waits(of, -1)
	if !ok {
		l.letIn()
	}
	return ok
}

func (l *lane) wait(of steps.Lane, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits(of, n)
}

// waits counts n more attempts that wait for a turn. The lock is held.
func (l *lane) waits(of steps.Lane, n int) {
	l.waiting += n
	if of != steps.LaneAlone {
		l.once += n
	}
}

// yield ends a turn. The next one may follow at once; after a while the others are let in, for as long as they had to wait.
func (l *lane) yield() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends()
}

// ends is [lane.yield] with the lock held.
func (l *lane) ends() {
	if l.busy, l.room = false, 0; l.once == 0 {
		l.width = 0
	}
	l.letIn()
	l.tell()
}

// letIn lets the others begin, unless somebody has the turn or the next one follows. The lock is held.
func (l *lane) letIn() {
	if l.busy || l.shut.IsZero() {
		return
	}
	now := time.Now()
	if l.waiting > 0 && (l.first.IsZero() || now.Sub(l.first) < turnsLast) && now.Sub(l.shut) < turnsLast+patienceOf[steps.LaneApart] {
		return
	}
	took := now.Sub(l.shut)
	l.shut, l.first, l.open = time.Time{}, time.Time{}, now.Add(min(took, time.Minute))
	l.tell()
}

// end lets others begin, once all that share the turn do; what goes on then is not waited for by others that were lost once.
func (t *turn) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		t.passed = true
		t.lane.passed++
		t.lets()
	}
}

// leave ends what is executed in a turn, and the turn with it.
func (t *turn) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inside--
	if t.passed {
		t.lane.passed--
	}
	if !t.over {
		t.lets()
	}
	t.tell()
}

// lets is the end of the turn, with the lock held.
func (t *turn) lets() {
	t.over = true
	if t.sharing--; t.sharing == 0 {
		t.ends()
	}
}
