package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Store is what is known of the log as a whole.
type Store struct {
	Damages int       // what has happened to it behind Belay's back, and nobody has accepted
	Whole   time.Time // when the last reading of all of it ended; zero = none has
}

// RegisterStore registers gauges of the log as a whole.
func RegisterStore(r prometheus.Registerer, of func() Store) {
	gauge := func(name, help string, value func(Store) float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(of()) }))
	}
	gauge("belay_log_damages_open", "What was found to have happened to the log behind Belay's back, and nobody has accepted.", func(s Store) float64 { return float64(s.Damages) })
	gauge("belay_log_scrubbed_timestamp_seconds", "When the last reading of the whole log began that has ended; 0 before the first.", func(s Store) float64 {
		if s.Whole.IsZero() {
			return 0
		}
		return float64(s.Whole.Unix())
	})
}
