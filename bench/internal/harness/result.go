package harness

import (
	"encoding/json"
	"fmt"
	"sort"
	"time"
)

// Result is the contract's JSON line.
type Result struct {
	Peer        string  `json:"peer"`
	Mode        string  `json:"mode"`
	Runs        int     `json:"runs"`
	Steps       int     `json:"steps"`
	Concurrency int     `json:"concurrency"`
	StepsPerSec float64 `json:"steps_per_sec"`
	RunsPerSec  float64 `json:"runs_per_sec"`
	P50         float64 `json:"p50_ms"`
	P99         float64 `json:"p99_ms"`
	P50Single   float64 `json:"p50_single_ms"`
	P99Single   float64 `json:"p99_single_ms"`
	CPUSeconds  float64 `json:"cpu_seconds"`
	CPUServer   float64 `json:"cpu_server_seconds"`
	CPUPerStep  float64 `json:"cpu_us_per_step"`
	MaxRSS      float64 `json:"max_rss_mb"`
	RSSServer   float64 `json:"server_rss_mb"`
	WallSeconds float64 `json:"wall_seconds"`
	SingleRuns  int     `json:"single_runs"`
	Executed    int64   `json:"executed_steps"`
	Failed      int64   `json:"failed_attempts"`
	Repeated    int64   `json:"repeated_steps"`
	Durable     string  `json:"durable"`
}

func (b *Bench) print(r Result) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	b.noteMu.Lock()
	defer b.noteMu.Unlock()
	if len(b.Extra) > 0 {
		extra, err := json.Marshal(b.Extra)
		if err != nil {
			return err
		}
		raw = append(raw[:len(raw)-1], ',')
		raw = append(raw, extra[1:]...)
	}
	fmt.Println(string(raw))
	return nil
}

// PrintExtra prints a line for a mode of the peer's own.
func (b *Bench) PrintExtra(durable string) error {
	b.Extra["peer"], b.Extra["mode"], b.Extra["durable"] = b.Peer, b.Mode, durable
	raw, err := json.Marshal(b.Extra)
	if err != nil {
		return err
	}
	fmt.Println(string(raw))
	return nil
}

func sortDurations(d []time.Duration) {
	sort.Slice(d, func(i, j int) bool { return d[i] < d[j] })
}

func pct(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}

func ms(d time.Duration) float64 { return round(float64(d)/1e6, 3) }

func round(f float64, digits int) float64 {
	p := 1.0
	for range digits {
		p *= 10
	}
	if f < 0 {
		return float64(int64(f*p-0.5)) / p
	}
	return float64(int64(f*p+0.5)) / p
}
