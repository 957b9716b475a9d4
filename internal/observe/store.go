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
}

// RegisterStore registers gauges of the log as a whole.
func RegisterStore(r prometheus.Registerer, of func() Store) {
	gauge := func(name, help string, value func(Store) float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(of()) }))
	}
	gauge("belay_log_damages_open", "What was found to have happened to the log behind Belay's back, and nobody has accepted.", func(s Store) float64 { return float64(s.Damages) })
	gauge("belay_stream_drift", "Settings of streams, buckets and consumers that are not as Belay needs them.", func(s Store) float64 { return float64(s.Drift) })
	gauge("belay_stream_drift_grave", "Those of them for which runs may be lost, or stand still.", func(s Store) float64 { return float64(s.Grave) })
	gauge("belay_log_scrubbed_timestamp_seconds", "When the last reading of the whole log began that has ended; 0 before the first.", func(s Store) float64 {
		if s.Whole.IsZero() {
			return 0
		}
		return float64(s.Whole.Unix())
	})
}
