package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Schedule is what is known of a schedule, by every dispatcher alike.
type Schedule struct {
	Name            string
	Next, Last      time.Time // firings; zero = it is paused or fires no more, or has not fired yet
	Missed, Skipped int       // firings that were left out
	Refused         bool      // the last firing could not become a run
}

// schedules collects what is known of each schedule.
type schedules struct {
	of                                   func() Store
	next, last, missed, skipped, refused *prometheus.Desc
}

func newSchedules(of func() Store) *schedules {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"schedule"}, nil)
	}
	return &schedules{
		of:      of,
		next:    desc("belay_schedule_next_timestamp_seconds", "When a schedule fires next; there is none while it is paused."),
		last:    desc("belay_schedule_last_timestamp_seconds", "The last firing of a schedule that has become a run, or was refused."),
		missed:  desc("belay_schedule_missed_total", "Firings that were missed, because no dispatcher was there, and not made up for."),
		skipped: desc("belay_schedule_skipped_total", "Firings that were left out, because the run before was open."),
		refused: desc("belay_schedule_refused", "1 while the last firing of a schedule could not become a run."),
	}
}

func (s *schedules) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.next, s.last, s.missed, s.skipped, s.refused} {
		to <- d
	}
}

func (s *schedules) Collect(to chan<- prometheus.Metric) {
	for _, v := range s.of().Schedules {
		send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64) {
			to <- prometheus.MustNewConstMetric(d, kind, value, v.Name)
		}
		for d, at := range map[*prometheus.Desc]time.Time{s.next: v.Next, s.last: v.Last} {
			if !at.IsZero() {
				send(d, prometheus.GaugeValue, float64(at.Unix()))
			}
		}
		send(s.missed, prometheus.CounterValue, float64(v.Missed))
		send(s.skipped, prometheus.CounterValue, float64(v.Skipped))
		refused := 0.0
		if v.Refused {
			refused = 1
		}
		send(s.refused, prometheus.GaugeValue, refused)
	}
}
