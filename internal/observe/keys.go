package observe

import "github.com/prometheus/client_golang/prometheus"

// RegisterKeys registers gauges of the keys by which a worker executes what people have approved. Of is asked when they are read;
// ok is false where the worker pins none, and then they are absent.
func RegisterKeys(r prometheus.Registerer, of func() (pinned, foreign int, ok bool)) {
	r.MustRegister(&pinnedKeys{
		of:      of,
		pinned:  prometheus.NewDesc("belay_keys_pinned", "Keys that sign approvals and that this worker has pinned; absent where it was given them, and in dispatcher dev.", nil, nil),
		foreign: prometheus.NewDesc("belay_keys_foreign", "Keys that are published and that no key vouches for which this worker has pinned: it refuses what they sign.", nil, nil),
	})
}

type pinnedKeys struct {
	of              func() (pinned, foreign int, ok bool)
	pinned, foreign *prometheus.Desc
}

// Describe implements [prometheus.Collector].
func (k *pinnedKeys) Describe(out chan<- *prometheus.Desc) { out <- k.pinned; out <- k.foreign }

// Collect implements [prometheus.Collector].
func (k *pinnedKeys) Collect(out chan<- prometheus.Metric) {
	pinned, foreign, ok := k.of()
	if !ok {
		return
	}
	out <- prometheus.MustNewConstMetric(k.pinned, prometheus.GaugeValue, float64(pinned))
	out <- prometheus.MustNewConstMetric(k.foreign, prometheus.GaugeValue, float64(foreign))
}
