package score

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"belay/internal/steps"
)

// Kind says what is unusual.
type Kind string

// The kinds of spikes.
const (
	Burns    Kind = "burn"   // a tool uses up its error budget far too fast
	Jumped   Kind = "jump"   // far more of a tool's calls go wrong than in the week before
	NewCause Kind = "cause"  // a tool fails in a way in which it has not failed before
	PilesUp  Kind = "people" // far more escalations are opened than in the week before, and they are not decided
	TooLate  Kind = "late"   // people decide later than a tool's objective says
)

// Spike is something unusual. People are notified once when it begins and once when it is over.
type Spike struct {
	ID       string    `json:"id"` // of what is unusual: the same each time
	Kind     Kind      `json:"kind"`
	Tool     string    `json:"tool,omitempty"`  // empty: of all tools
	Cause    string    `json:"cause,omitempty"` // id of the cause
	Text     string    `json:"text"`            // what is unusual, in one line
	Quote    string    `json:"quote,omitempty"` // what the other side says of it; outside text
	Since    time.Time `json:"since"`
	Calm     time.Time `json:"calm,omitzero"`      // since when it looks as usual again
	Over     time.Time `json:"over,omitzero"`      // when that was so for long enough; absent: it goes on
	Notified string    `json:"notified,omitempty"` // what people were notified of: begin or over
}

// What people were notified of about a spike.
const (
	NotifiedBegin = "begin"
	NotifiedOver  = "over"
)

const (
	calmFor    = 15 * time.Minute // so long it must look as usual before a spike is over
	shownFor   = 24 * time.Hour   // so long one that is over is shown
	mostSpikes = 50               // at a time; what comes while there are as many is not one
	week       = 7 * 24 * time.Hour
)

// Thresholds, with what it takes to begin and what to be calm, so that nothing flaps.
const (
	fastBurn, slowBurn = 14.4, 6.0 // in an hour and five minutes; in six hours and half an hour
	fewBad             = 5         // below so many results that are not as they should be nothing burns
	jumpTimes          = 3.0       // times the share of the week before
	jumpBy             = 0.1       // and this much more
	jumpMin            = 10        // results in the hour that are not as they should be
	jumpBase           = 50        // results in the week before
	pileMin            = 10        // escalations in an hour
	lateShare          = 0.2       // of the decisions in six hours
	lateMin            = 3
	causeMin           = 5              // times within an hour
	causeSettled       = 24 * time.Hour // so long a tool must be counted before a cause is new
)

// Judge says what is unusual now, from what was before. It depends on nothing but its arguments; looking again with the result
// changes nothing but the time.
func Judge(c *Counts, was []Spike, now time.Time) []Spike {
	j := judging{counts: c, now: now, was: was}
	for _, tool := range c.names() {
		j.burns(tool)
		j.jumps(tool)
		j.late(tool)
	}
	j.piles()
	j.causes()
	for i := range was { // what is not looked at any more is calm
		if !slices.ContainsFunc(j.all, func(s Spike) bool { return s.ID == was[i].ID }) {
			j.found(was[i], false, true)
		}
	}
	slices.SortFunc(j.all, func(a, b Spike) int {
		return cmp.Or(cmp.Compare(b2i(!a.Over.IsZero()), b2i(!b.Over.IsZero())), b.Since.Compare(a.Since), cmp.Compare(a.ID, b.ID))
	})
	return j.all
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

type judging struct {
	counts *Counts
	now    time.Time
	was    []Spike
	all    []Spike
	fresh  int
}

// found takes in how something looks: hot = as a spike begins, calm = as usual. Between the two a spike goes on.
func (j *judging) found(s Spike, hot, calm bool) {
	i := slices.IndexFunc(j.was, func(o Spike) bool { return o.ID == s.ID })
	if i < 0 || !j.was[i].Over.IsZero() && hot {
		if hot && j.goesOn()+j.fresh < mostSpikes {
			j.fresh++
			s.Since, s.Calm, s.Over, s.Notified = j.now, time.Time{}, time.Time{}, ""
			j.all = append(j.all, s)
		}
		return
	}
	o := j.was[i]
	switch {
	case !o.Over.IsZero():
		if j.now.Sub(o.Over) < shownFor {
			j.all = append(j.all, o)
		}
		return
	case hot:
		o.Text, o.Quote, o.Calm = s.Text, s.Quote, time.Time{}
	case !calm:
		o.Calm = time.Time{}
	case o.Calm.IsZero():
		o.Calm = j.now
	case j.now.Sub(o.Calm) >= calmFor:
		o.Over = j.now
	}
	j.all = append(j.all, o)
}

// goesOn is how many spikes are not over.
func (j *judging) goesOn() (n int) {
	for i := range j.was {
		if j.was[i].Over.IsZero() {
			n++
		}
	}
	return n
}

func (j *judging) slo(tool string) *steps.SLO {
	if t := j.counts.Tools[tool]; t != nil {
		return t.SLO
	}
	return nil
}

func (j *judging) burns(tool string) {
	slo := j.slo(tool)
	if slo == nil {
		return
	}
	in := func(length time.Duration) (Numbers, float64) {
		n := j.counts.In(tool, length, j.now)
		return n, burn(&n, slo)
	}
	_, m5 := in(5 * time.Minute)
	_, m30 := in(30 * time.Minute)
	hour, h1 := in(time.Hour)
	six, h6 := in(6 * time.Hour)
	fast := h1 >= fastBurn && m5 >= fastBurn && hour.Bad() >= fewBad
	slow := h6 >= slowBurn && m30 >= slowBurn && six.Bad() >= fewBad
	s := Spike{ID: "burn/" + tool, Kind: Burns, Tool: tool}
	s.Text = fmt.Sprintf("%s uses up its error budget %.0f times as fast as it may: in the last 6 hours %d of %d results were not of the first rung, and %s should be", tool, h6, six.Bad(), six.Results(), Percent(slo.Primary))
	if fast {
		s.Text = fmt.Sprintf("%s uses up its error budget %.0f times as fast as it may: in the last hour %d of %d results were not of the first rung, and %s should be", tool, h1, hour.Bad(), hour.Results(), Percent(slo.Primary))
	}
	j.found(s, fast || slow, m30 < slowBurn/2)
}

// Percent writes a share.
func Percent(share float64) string { return fmt.Sprintf("%.4g%%", 100*share) }

// week is what was counted in the week before the last hour, and how many hours of it are counted at all.
func (j *judging) week(tool string) (n Numbers, hours float64) {
	end := j.now.Add(-time.Hour).Truncate(time.Hour)
	from := later(end.Add(-week), j.counts.Since)
	if j.counts.Since.IsZero() || !from.Before(end) {
		return n, 0
	}
	j.counts.between(j.counts.Hours, tool, from.Truncate(time.Hour), end, &n)
	return n, end.Sub(from).Hours()
}

func share(part, all int) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}

func (j *judging) jumps(tool string) {
	hour := j.counts.In(tool, time.Hour, j.now)
	before, hours := j.week(tool)
	now, base := share(hour.Bad(), hour.Results()), share(before.Bad(), before.Results())
	hot := hours >= 24 && before.Results() >= jumpBase && hour.Bad() >= jumpMin && now > jumpTimes*base && now > base+jumpBy
	s := Spike{ID: "jump/" + tool, Kind: Jumped, Tool: tool}
	s.Text = fmt.Sprintf("%s: %s of its results in the last hour were not of the first rung (%d of %d), and %s in the week before", tool, Percent(now), hour.Bad(), hour.Results(), Percent(base))
	j.found(s, hot, now < base+jumpBy/2)
}

func (j *judging) late(tool string) {
	slo := j.slo(tool)
	if slo == nil || slo.Decision == 0 {
		return
	}
	n := j.counts.In(tool, 6*time.Hour, j.now)
	now := share(n.Late, n.Decided)
	s := Spike{ID: "late/" + tool, Kind: TooLate, Tool: tool}
	s.Text = fmt.Sprintf("%s: %d of %d decisions in the last 6 hours took longer than %s", tool, n.Late, n.Decided, slo.Decision)
	j.found(s, n.Late >= lateMin && now > lateShare, now < lateShare/2)
}

// piles is about all tools: the same people decide.
func (j *judging) piles() {
	var hour, before Numbers
	var hours float64
	for _, tool := range j.counts.names() {
		n := j.counts.In(tool, time.Hour, j.now)
		hour.Add(&n)
		n, hours = j.week(tool)
		before.Add(&n)
	}
	usual := 0.0
	if hours > 0 {
		usual = float64(before.Asked) / hours
	}
	left := hour.Asked - hour.Decided - hour.Dropped
	s := Spike{ID: "people", Kind: PilesUp}
	s.Text = fmt.Sprintf("%d escalations were opened in the last hour, usually it is %.3g; %d were decided or ended in it", hour.Asked, usual, hour.Decided+hour.Dropped)
	hot := hours >= 24 && hour.Asked >= pileMin && float64(hour.Asked) > jumpTimes*usual && 2*left > hour.Asked
	j.found(s, hot, float64(hour.Asked) < max(pileMin/2, 1.5*usual))
}

// causes is about causes that were first seen when their tool was counted for a day already.
func (j *judging) causes() {
	for i := range j.counts.Causes {
		x := &j.counts.Causes[i]
		settled := !j.counts.Since.IsZero() && x.First.Sub(j.counts.Since) >= causeSettled
		s := Spike{ID: "cause/" + x.ID, Kind: NewCause, Tool: x.Tool, Cause: x.ID, Quote: x.Sample}
		s.Text = fmt.Sprintf("%s fails in a way in which it has not failed in the last 30 days: %s, %d times since %s", x.Tool, x.Class, x.Count, x.First.UTC().Format("15:04 UTC"))
		hot := settled && j.now.Sub(x.First) < time.Hour && x.Count >= causeMin
		j.found(s, hot, j.now.Sub(x.Last) > time.Hour)
	}
}
