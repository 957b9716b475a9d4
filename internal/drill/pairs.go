package drill

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Pairs is what came of two faults at a time.
type Pairs struct {
	Plays   int            `json:"plays"`
	LeftOut int            `json:"left_out"` // for lack of time
	Ends    map[string]int `json:"ends"`
	Bad     []string       `json:"bad,omitempty"` // which, and what is wrong
}

func (p *Pairs) bad() bool { return len(p.Bad) > 0 }

// pair is a play with two faults.
type pair struct {
	name string
	*play
	played bool
}

// PlayPairs plays every pair of faults for as long as the budget lasts, in an order that is the same each time. What is left
// out is counted.
func (d *Drill) PlayPairs(r *Report, budget time.Duration) {
	all := r.pairs()
	var over atomic.Bool
	stop := time.AfterFunc(budget, func() { over.Store(true) })
	defer stop.Stop()
	each(all, func(p *pair) {
		if !over.Load() {
			d.perform(p.play)
			p.played = true
		}
	})
	sum := &Pairs{Ends: map[string]int{}}
	for _, p := range all {
		if !p.played {
			sum.LeftOut++
			continue
		}
		sum.Plays++
		sum.Ends[p.judged.Outcome.String()]++
		if p.judged.Outcome.Bad() {
			sum.Bad = append(sum.Bad, fmt.Sprintf("%s: %s: %s", p.judged.Outcome, p.name, p.judged.Why))
		}
	}
	r.Pairs = sum
}

// pairs are all pairs of plays of different cells, shuffled so that a budget cuts off no corner.
func (r *Report) pairs() []*pair {
	var singles []*pair
	for _, c := range r.Cells {
		for _, p := range c.plays {
			singles = append(singles, &pair{name: c.Name() + " (" + p.how() + ")", play: p})
		}
	}
	var all []*pair
	for i, a := range singles {
		for _, b := range singles[i+1:] {
			if a.target == b.target && !a.once && !b.once { // the first for good leaves no room for the second
				continue
			}
			if u, v := a.undoing(), b.undoing(); u != nil && v != nil && u != v { // a run is cancelled once
				continue
			}
			first, second := a.anew(), b.anew()
			first.second = second
			all = append(all, &pair{name: a.name + " and " + b.name, play: first})
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// anew is the same fault, not played yet.
func (p *play) anew() *play {
	q := *p
	q.Played, q.decided, q.calls, q.waited, q.judged = nil, false, nil, 0, judgement{}
	q.reached = q.target.kind == onDispatcher || q.target.kind == onQuestion && q.target.provoked == nil
	return &q
}

func (p *Pairs) text(w io.Writer) {
	fmt.Fprintf(w, "\npairs: %d played, %d LOST, %d TWICE, %d STUCK", p.Plays, p.Ends[Lost.String()], p.Ends[Twice.String()], p.Ends[Stuck.String()])
	if p.LeftOut > 0 {
		fmt.Fprintf(w, "; %d left out, because the budget was used up (--budget)", p.LeftOut)
	}
	fmt.Fprintln(w)
	for n, text := range p.Bad {
		if n == 20 {
			fmt.Fprintf(w, "  and %d more\n", len(p.Bad)-n)
			break
		}
		fmt.Fprintln(w, "  "+text)
	}
}
