package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Score is how it goes, as all dispatchers say.
type Score struct {
	Objectives []Objective
	Dead       []DeadRung
	Spikes     int // that are not over
}

// Objective is how the objective of a tool stands.
type Objective struct {
	Tool   string
	Budget float64            // what is left of it, from 1 to below 0
	Burn   map[string]float64 // how fast it is used up, by window
}

// DeadRung is a rung that has not answered for 30 days.
type DeadRung struct {
	Tool, Rung string
	Since      time.Time
}

// scores collects how it goes: there is no series of a tool without an objective, and of a rung that is not dead.
type scores struct {
	of                         func() Score
	budget, burn, dead, spikes *prometheus.Desc
}

func newScores(of func() Score) *scores {
	return &scores{
		of:     of,
		budget: prometheus.NewDesc("belay_slo_budget_ratio", "What is left of the error budget of a tool with an slo: 1 = all of it, below 0 = the objective is missed.", []string{"tool"}, nil),
		burn:   prometheus.NewDesc("belay_slo_burn_rate", "How fast the error budget of a tool was used up in the last time: at 1 it lasts exactly for the window of its slo.", []string{"tool", "window"}, nil),
		dead:   prometheus.NewDesc("belay_rung_dead_timestamp_seconds", "Since when a rung has not answered for which that is 30 days or more.", []string{"tool", "rung"}, nil),
		spikes: prometheus.NewDesc("belay_spikes_open", "What is unusual about calls, as dispatcher slo says.", nil, nil),
	}
}

func (s *scores) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.budget, s.burn, s.dead, s.spikes} {
		to <- d
	}
}

func (s *scores) Collect(to chan<- prometheus.Metric) {
	is := s.of()
	for _, o := range is.Objectives {
		to <- prometheus.MustNewConstMetric(s.budget, prometheus.GaugeValue, o.Budget, o.Tool)
		for window, rate := range o.Burn {
			to <- prometheus.MustNewConstMetric(s.burn, prometheus.GaugeValue, rate, o.Tool, window)
		}
	}
	for _, r := range is.Dead {
		to <- prometheus.MustNewConstMetric(s.dead, prometheus.GaugeValue, float64(r.Since.Unix()), r.Tool, r.Rung)
	}
	to <- prometheus.MustNewConstMetric(s.spikes, prometheus.GaugeValue, float64(is.Spikes))
}
