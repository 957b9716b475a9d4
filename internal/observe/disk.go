package observe

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Disk is what is known of writing to the store, and of the room that it has.
type Disk struct {
	Writes []Writes
	Space  *Space // nil = not known
}

// Space is how much is stored, and how much more can be, in bytes.
type Space struct {
	Used, Headroom int64
}

// Writes is what is known of writing to a stream.
type Writes struct {
	Stream  string
	Good    time.Time // when the last write was confirmed; zero = none was
	Failing bool      // later ones were not
}

// diskCollector tells what is known of it.
type diskCollector struct {
	of                                 func() Disk
	lastWrite, failing, used, headroom *prometheus.Desc

	mu   sync.Mutex
	at   time.Time
	last Disk
}

// RegisterDisk registers gauges of writing to the store, and of its room.
func RegisterDisk(r prometheus.Registerer, of func() Disk) {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	r.MustRegister(&diskCollector{
		of:        of,
		lastWrite: d("belay_store_last_write_timestamp_seconds", "When the server last confirmed a write of this process to the stream.", "stream"),
		failing:   d("belay_store_writes_failing", "1 while writes of this process to the stream are not confirmed: no answer, or no room.", "stream"),
		used:      d("belay_store_used_bytes", "What is stored; absent where it is not known."),
		headroom:  d("belay_store_headroom_bytes", "How much more can be stored: up to the limit of the server or account and, of an embedded server, up to the end of its disk; absent where it is not known."),
	})
}

// Describe implements prometheus.Collector.
func (c *diskCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.lastWrite, c.failing, c.used, c.headroom} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *diskCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) > fresh {
		c.last, c.at = c.of(), time.Now()
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, w := range c.last.Writes {
		failing := 0.0
		if w.Failing {
			failing = 1
		}
		gauge(c.failing, failing, w.Stream)
		gauge(c.lastWrite, seconds(w.Good), w.Stream)
	}
	if s := c.last.Space; s != nil {
		gauge(c.used, float64(s.Used))
		gauge(c.headroom, float64(s.Headroom))
	}
}

// seconds is a time as a metric; 0 where there was none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
