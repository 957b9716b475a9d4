package yamldoc

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

var errDuration = errors.New("is not a duration")

// ParseDuration reads Go's durations, with days in front if wanted: 500ms, 90s, 1h30m, 30d, 1d12h.
func ParseDuration(s string) (time.Duration, error) {
	days, rest, found := strings.Cut(s, "d")
	if !found {
		days, rest = "", s
	}
	var total time.Duration
	if days != "" {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil || n > math.MaxInt64/uint64(24*time.Hour) {
			return 0, errDuration
		}
		total = time.Duration(n) * 24 * time.Hour
	}
	if rest == "" && days != "" {
		return total, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || (total > 0 && d < 0) || total+d < total && d > 0 {
		return 0, errDuration
	}
	return total + d, nil
}

// spoken writes d without units that are zero: 24h instead of 24h0m0s.
func SpokenDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
