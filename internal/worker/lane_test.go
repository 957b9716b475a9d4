package worker

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"belay/internal/executor"
	"belay/internal/ladder"
	"belay/internal/steps"
)

// waiter is a job that waits in l until stop is closed.
func waiter(stop chan struct{}) *job {
	return &job{Worker: &Worker{stopping: stop, stops: newStops()}, signal: &signal{}}
}

func TestNothingIsExecutedBesideWhatIsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lane
		if !l.join() {
			t.Fatal("the lane is shut at first")
		}
		var has *turn
		go func() { has = l.take(waiter(nil), steps.LaneAlone) }()
		synctest.Wait()
		if l.join() {
			t.Fatal("another attempt begins before it")
		}
		time.Sleep(time.Hour)
		if has != nil {
			t.Fatal("it is executed beside another attempt")
		}
		l.leave()
		synctest.Wait()
		if has == nil || has.company != steps.CompanyAlone || l.join() {
			t.Fatalf("it does not get its turn, or another attempt begins beside it: %+v", has)
		}
		let := false
		go func() { let = l.opened(waiter(nil), time.Now().Add(time.Minute)) && l.join() }()
		synctest.Wait()
		has.leave()
		synctest.Wait()
		if !let {
			t.Error("nothing begins after it")
		}
	})
}

// TestWhatIsSuspectedDoesNotStopAWorker: where a call goes on for an hour, what is to be executed alone lets others in meanwhile, for
// a good part of the time, and gets its turn soon after that call has ended.
func TestWhatIsSuspectedDoesNotStopAWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lane
		l.join()
		has := make(chan *turn, 1)
		go func() { has <- l.take(waiter(nil), steps.LaneAlone) }()
		synctest.Wait()
		l.block(1)
		began := 0
		for range 3600 {
			time.Sleep(time.Second)
			if l.join() {
				began++
				l.leave()
			}
		}
		if began < 1000 {
			t.Errorf("others may begin in %d seconds of an hour", began)
		}
		l.leave()
		ended := time.Now()
		if turn := <-has; turn.company != steps.CompanyAlone || time.Since(ended) > time.Minute {
			t.Errorf("%s later it is executed %s", time.Since(ended), turn.company)
		}
	})
}

// TestOneThatWasLostOnceWaitsForAMoment: workers are lost for many reasons, so it does not wait for a call of an hour; and it does
// not say then that it was alone.
func TestOneThatWasLostOnceWaitsForAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lane
		l.join()
		began := time.Now()
		has := l.take(waiter(nil), steps.LaneApart)
		if waited := time.Since(began); waited != patienceOf[steps.LaneApart] || has.company != steps.CompanyBeside {
			t.Errorf("it waits for %s, and is %s", waited, has.company)
		}
		has.leave()
		l.leave()
		if next := l.take(waiter(nil), steps.LaneApart); next.company != steps.CompanyAlone {
			t.Errorf("the next one is %s", next.company)
		}
	})
}

// TestTurnsAreShared: while others wait, turns follow one another for a while only, and then the others have as long.
func TestTurnsAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const each = 2 * time.Second
		var l lane
		began := time.Now()
		var turns []time.Duration
		for range 5 {
			go func() {
				has := l.take(waiter(nil), steps.LaneAlone)
				turns = append(turns, time.Since(began))
				time.Sleep(each)
				has.leave()
			}()
		}
		synctest.Wait()
		l.block(1)
		l.opened(waiter(nil), time.Now().Add(time.Minute))
		if since := time.Since(began); since != 3*each || !l.join() {
			t.Errorf("the others are let in after %s", since)
		}
		l.block(-1)
		time.Sleep(each)
		l.leave()
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []time.Duration{0, each, 2 * each, 4 * each, 5 * each} // nobody else is there after 4 of them
		if !slices.Equal(turns, want) {
			t.Errorf("turns begin after %v, want %v", turns, want)
		}
	})
}

// TestTurnsOfManyGrow: of those that were lost at once the first begins alone, then three times as many each time, as long as there are slots;
// what goes on of them is not waited for, unlike what began for itself.
func TestTurnsOfManyGrow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		slots  int
		beside bool
		want   []time.Duration // when so many more begin
	}{
		"as many as there are":   {16, false, []time.Duration{0, 1, 1, 1, 2, 2, 2, 2, 2, 2}},
		"as there are slots":     {4, false, []time.Duration{0, 1, 1, 1}},
		"beside another attempt": {16, true, []time.Duration{3, 4, 4, 4, 5, 5, 5, 5, 5, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l lane
				if c.beside {
					l.join()
					l.block(1)
				}
				began, slots := time.Now(), make(chan struct{}, c.slots)
				var said sync.Mutex
				var turns []time.Duration
				alone, stop := 0, make(chan struct{})
				for range 10 {
					j := waiter(stop)
					j.slots = slots
					go func() {
						has := l.take(j, steps.LaneApart)
						if has == nil {
							return
						}
						if !j.enter(slots) {
							has.leave()
							return
						}
						said.Lock()
						turns = append(turns, time.Since(began)/time.Second)
						if has.company == steps.CompanyAlone {
							alone++
						}
						said.Unlock()
						time.Sleep(steps.ApartFor)
						has.end()
						<-stop
						has.leave()
					}()
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if !slices.Equal(turns, c.want) {
					t.Errorf("turns begin after %v seconds, want %v", turns, c.want)
				}
				if want := 1; alone != want && !c.beside || c.beside && alone != 0 {
					t.Errorf("%d say that they are alone", alone)
				}
				close(stop)
				synctest.Wait()
				if c.beside {
					l.leave()
				}
				if l.inside+l.passed+l.sharing+l.waiting+l.once != 0 {
					t.Errorf("what remains: %+v", &l)
				}
			})
		})
	}
}

// TestWhoWaitsForLongGivesUp, so that another worker takes it.
func TestWhoWaitsForLongGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := waiter(nil)
		w.Worker.slots = make(chan struct{}, 1)
		w.slots <- struct{}{}
		w.lane.busy, w.lane.shut = true, time.Now()
		began := time.Now()
		if w.blocked() || time.Since(began) != blockedFor || w.lane.blocked != 0 || len(w.slots) != 0 {
			t.Errorf("after %s: %d blocked, %d slots", time.Since(began), w.lane.blocked, len(w.slots))
		}
	})
}

func TestWhoGivesUpItsTurnLetsTheOthersIn(t *testing.T) {
	t.Parallel()
	for _, next := range []bool{false, true} { // another one waits that gives up too
		synctest.Test(t, func(t *testing.T) {
			var l lane
			l.join()
			stop := make(chan struct{})
			for n := range 2 {
				if n == 0 || next {
					go func() {
						if l.take(waiter(stop), steps.LaneAlone) != nil {
							t.Error("it has a turn beside another attempt")
						}
					}()
				}
			}
			synctest.Wait()
			if l.join() {
				t.Error("something begins before it")
			}
			close(stop)
			synctest.Wait()
			if !l.join() {
				t.Error("nothing begins any more")
			}
		})
	}
}

// TestALostAttemptIsExecutedAlone, with the real queue: nothing begins beside it, and the log says so.
func TestALostAttemptIsExecutedAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	lost, other := message(steps.EffectsNone), message(steps.EffectsNone)
	lost.Step, lost.Lane = "lost", steps.LaneAlone
	other.Step = "other"
	may, began := make(chan struct{}), make(chan string, 4)
	r.start(Options{}, ladder.Rung{Executor: executor.Func(func(ctx context.Context, q executor.Request) (executor.Result, error) {
		began <- q.Step
		if q.Step == "other" {
			<-may
		}
		return executor.Result{Output: json.RawMessage(`1`)}, nil
	})})
	<-r.newest.Ready()
	r.queue(other)
	if step := <-began; step != "other" {
		t.Fatalf("%s begins first", step)
	}
	r.queue(lost)
	after := message(steps.EffectsNone)
	after.Step = "after"
	r.until(func(e steps.Event) bool { p, is := e.(steps.Progress); return is && p.Step == "lost" }) // it waits for its turn
	r.queue(after)
	close(may)
	first, second := <-began, <-began
	if first != "lost" || second != "after" {
		t.Errorf("%s begins, then %s", first, second)
	}
	r.drained()
}

// TestAnAttemptThatIsNotAloneAnyMoreSaysSo: otherwise it would be blamed for what began beside it.
func TestAnAttemptThatIsNotAloneAnyMoreSaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.queue(message(steps.EffectsNone))
	r.log(steps.Started{Attempt: message("").Attempt, Worker: "dead", Company: steps.CompanyBeside})
	r.takeSilently()
	may := make(chan struct{})
	r.start(Options{}, fails(func(context.Context) error { <-may; return nil }))
	var said []steps.Started
	r.until(func(e steps.Event) bool {
		s, is := e.(steps.Started)
		if is && s.Worker == "w" {
			said = append(said, s)
		}
		return len(said) == 2
	})
	if a, b := said[0], said[1]; a.Company != steps.CompanyAlone || b.Company != steps.CompanyBeside || a.Delivery == "" || a.Delivery != b.Delivery {
		t.Errorf("%+v, then %+v", a, b)
	}
	close(may)
	r.until(isOutcome)
	r.drained()
}
