package notify

import (
	"testing"
	"time"

	"belay/internal/exactjson"
	"belay/internal/exactjson/exactjsontest"
)

// FuzzSent is about what is remembered of a notice.
func FuzzSent(f *testing.F) {
	exactjsontest.Fuzz(f, func(body []byte) (s Sent, err error) { return s, exactjson.Unmarshal(body, &s) },
		Sent{Key: "k", Notice: "n", Group: "g", Tier: "t", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Items: []byte("123456789")})
}

// FuzzTiers is about who is notified when, as another process has stored it.
func FuzzTiers(f *testing.F) {
	exactjsontest.Fuzz(f, func(body []byte) (list []shownTier, err error) { return list, exactjson.Unmarshal(body, &list) }, []shownTier{{"a", time.Minute, time.Hour}})
}
