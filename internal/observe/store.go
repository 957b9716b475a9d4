package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Store is what is known of the log as a whole.
type Store struct {
	Damages int       // what has happened to it behind Belay's back, and nobody has accepted
	Whole   time.Time // when the last reading of all of it ended; zero = none has
	Drift   int       // settings of streams and consumers that are not as they must be
	Grave   int       // those of them that may lose runs or let them stand still

	GatesClosed int       // gates that people have closed
	GateSince   time.Time // when the one of them was closed that is closed longest; zero = none is
	Waiting     int       // attempts that gates hold back, of the partitions that this dispatcher has

	Schedules []Schedule // all of them

	Breakers []Breaker       // those that are not closed
	Score    Score           // how it goes
	Outside  []Outside       // attempts that wait for their turn, of the partitions that this dispatcher has
	Limited  map[Limited]int // calls that limits hold back, of the partitions that this dispatcher has
	InHand   map[string]int  // calls that have a slot, by the tool or the target whose limit it is; of all dispatchers
}

// Breaker is a breaker that is not closed.
type Breaker struct {
	Tool, Rung, Target string
	State              float64 // 1 in a ramp, 2 half-open, 3 open
	Opened             time.Time
}

// breakers collects those that are not closed: there is no series of others.
type breakers struct {
	of            func() Store
	state, opened *prometheus.Desc
}

func newBreakers(of func() Store) *breakers {
	labels := []string{"tool", "rung", "target"}
	return &breakers{
		of:     of,
		state:  prometheus.NewDesc("belay_breaker_state", "Breakers that are not closed: 3 open, 2 half-open, 1 in a ramp.", labels, nil),
		opened: prometheus.NewDesc("belay_breaker_opened_timestamp_seconds", "When a breaker opened that has not been closed since.", labels, nil),
	}
}

func (b *breakers) Describe(to chan<- *prometheus.Desc) { to <- b.state; to <- b.opened }

func (b *breakers) Collect(to chan<- prometheus.Metric) {
	for _, r := range b.of().Breakers {
		to <- prometheus.MustNewConstMetric(b.state, prometheus.GaugeValue, r.State, r.Tool, r.Rung, r.Target)
		to <- prometheus.MustNewConstMetric(b.opened, prometheus.GaugeValue, float64(r.Opened.Unix()), r.Tool, r.Rung, r.Target)
	}
}

// Outside is attempts of a rung that wait for their turn to be queued.
type Outside struct {
	Tool, Rung, Priority string
	Attempts             int
}

// Limited is a kind of calls that limits hold back: of a tool, for a reason.
type Limited struct{ Tool, Why string }

// counted is a gauge of which there are as many as the log has things of a kind just now.
type counted struct {
	desc *prometheus.Desc
	each func(say func(n int, labels ...string))
}

func (c counted) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

func (c counted) Collect(to chan<- prometheus.Metric) {
	c.each(func(n int, labels ...string) {
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n), labels...)
	})
}

// RegisterStore registers gauges of the log as a whole.
func RegisterStore(r prometheus.Registerer, of func() Store) {
	gauge := func(name, help string, value func(Store) float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(of()) }))
	}
	gauge("belay_log_damages_open", "What was found to have happened to the log behind Belay's back, and nobody has accepted.", func(s Store) float64 { return float64(s.Damages) })
	gauge("belay_stream_drift", "Settings of streams, buckets and consumers that are not as Belay needs them.", func(s Store) float64 { return float64(s.Drift) })
	gauge("belay_stream_drift_grave", "Those of them for which runs may be lost, or stand still.", func(s Store) float64 { return float64(s.Grave) })
	gauge("belay_gates_closed", "Gates that people have closed.", func(s Store) float64 { return float64(s.GatesClosed) })
	gauge("belay_gate_closed_timestamp_seconds", "When the gate was closed that is closed longest; 0 without one.", func(s Store) float64 {
		if s.GateSince.IsZero() {
			return 0
		}
		return float64(s.GateSince.Unix())
	})
	gauge("belay_attempts_held", "Attempts that gates hold back, and those that wait for their turn behind one that was opened, of the part of the log that this dispatcher has.", func(s Store) float64 { return float64(s.Waiting) })
	r.MustRegister(newBreakers(of))
	r.MustRegister(newSchedules(of))
	r.MustRegister(newScores(func() Score { return of().Score }))
	r.MustRegister(counted{prometheus.NewDesc("belay_calls_limited", "Calls that limits hold back, by why, of the part of the log that this dispatcher has.", []string{"tool", "why"}, nil), func(say func(int, ...string)) {
		for k, n := range of().Limited {
			say(n, k.Tool, k.Why)
		}
	}})
	r.MustRegister(counted{prometheus.NewDesc("belay_steps_waiting", "Attempts that are not queued yet because others go first, by priority (people, new, redone), of the part of the log that this dispatcher has; the whole backlog is these and belay_steps_pending.", []string{"tool", "rung", "priority"}, nil), func(say func(int, ...string)) {
		for _, o := range of().Outside {
			say(o.Attempts, o.Tool, o.Rung, o.Priority)
		}
	}})
	r.MustRegister(counted{prometheus.NewDesc("belay_slots_used", "Calls that have a slot of a limit on calls in hand at once, over all dispatchers.", []string{"limit"}, nil), func(say func(int, ...string)) {
		for name, n := range of().InHand {
			say(n, name)
		}
	}})
	gauge("belay_log_scrubbed_timestamp_seconds", "When the last reading of the whole log began that has ended; 0 before the first.", func(s Store) float64 {
		if s.Whole.IsZero() {
			return 0
		}
		return float64(s.Whole.Unix())
	})
}
