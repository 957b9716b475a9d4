package belaytype

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// Duration is a length of time whose JSON is a number of seconds.
type Duration time.Duration

// MarshalJSON writes d in seconds.
func (d Duration) MarshalJSON() ([]byte, error) {
	s := time.Duration(d).Seconds()
	if Duration(s*float64(time.Second)) != d { // what is below a nanosecond is cut off when it is read
		if next := math.Nextafter(s, math.Copysign(math.MaxFloat64, s)); Duration(next*float64(time.Second)) == d {
			s = next
		}
	}
	return strconv.AppendFloat(nil, s, 'g', -1, 64), nil
}

// UnmarshalJSON reads a number of seconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s float64
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*d = Duration(s * float64(time.Second))
	return nil
}

// String writes d as Go does: 1m30s.
func (d Duration) String() string { return time.Duration(d).String() }
