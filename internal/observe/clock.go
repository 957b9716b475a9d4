package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Clock is how a machine's clock differs from the server's.
type Clock struct {
	Ahead  time.Duration // of the server's; negative: behind it
	Within time.Duration // how wrong that can be
}

// RegisterClock registers gauges of this machine's clock. Of is asked when they are read; it is zero before a server was reached.
func RegisterClock(r prometheus.Registerer, of func() Clock) {
	gauge := func(name, help string, value func(Clock) time.Duration) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(of()).Seconds() }))
	}
	gauge("belay_clock_offset_seconds", "How far this machine's clock is ahead of the server's, by which Belay goes; negative: behind it.", func(c Clock) time.Duration { return c.Ahead })
	gauge("belay_clock_uncertainty_seconds", "How wrong belay_clock_offset_seconds can be: half of what the server's answer took.", func(c Clock) time.Duration { return c.Within })
}
