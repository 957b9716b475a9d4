package access

import (
	"errors"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson/exactjsontest"
	"belay/internal/people"
	"belay/internal/wire"
)

// FuzzStored: a token that cannot be read opens nothing.
func FuzzStored(f *testing.F) {
	exactjsontest.Fuzz(f, func(body []byte) (stored, error) {
		all := &Tokens{known: map[string]stored{"a": {Token: Token{ID: "a"}}}, news: make(chan struct{})}
		all.learn(bus.Item{Key: keyPrefix + "a", Value: body})
		if s, ok := all.known["a"]; ok {
			return s, nil
		}
		return stored{}, errors.New("unreadable")
	}, stored{Token{ID: "a", Name: "n", Owner: "ann", Role: people.Submitter, Made: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Limits: people.Limits{Plans: []string{"p"}}}, wire.TokenHash("s"), wire.TokenPublic("s")})
}
