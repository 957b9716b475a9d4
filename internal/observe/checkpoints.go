package observe

import "github.com/prometheus/client_golang/prometheus"

// RegisterCheckpoints registers gauges of the checkpoints of the audit trail that a worker keeps. Of is asked when they are read; ok is
// false where it keeps none, and then they are absent.
func RegisterCheckpoints(r prometheus.Registerer, of func() (kept int, contradicted, ok bool)) {
	r.MustRegister(&keptCheckpoints{
		of:           of,
		kept:         prometheus.NewDesc("belay_checkpoints_kept", "Checkpoints of the audit trail that this worker keeps; absent where it has no directory for pinned keys to keep them in.", nil, nil),
		contradicted: prometheus.NewDesc("belay_checkpoints_contradicted", "1 while the audit trail contradicts the checkpoints that this worker keeps, and nobody has accepted that.", nil, nil),
	})
}

type keptCheckpoints struct {
	of                 func() (kept int, contradicted, ok bool)
	kept, contradicted *prometheus.Desc
}

// Describe implements [prometheus.Collector].
func (c *keptCheckpoints) Describe(out chan<- *prometheus.Desc) { out <- c.kept; out <- c.contradicted }

// Collect implements [prometheus.Collector].
func (c *keptCheckpoints) Collect(out chan<- prometheus.Metric) {
	kept, contradicted, ok := c.of()
	if !ok {
		return
	}
	out <- prometheus.MustNewConstMetric(c.kept, prometheus.GaugeValue, float64(kept))
	value := 0.0
	if contradicted {
		value = 1
	}
	out <- prometheus.MustNewConstMetric(c.contradicted, prometheus.GaugeValue, value)
}
