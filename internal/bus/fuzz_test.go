package bus

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/exactjson"
	"belay/internal/exactjson/exactjsontest"
)

// FuzzWorker is about what a worker says of itself.
func FuzzWorker(f *testing.F) {
	exactjsontest.Fuzz(f, func(body []byte) (w Worker, err error) { return w, exactjson.Unmarshal(body, &w) }, Worker{Name: "w", Serves: []string{"a/b"}, Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
}

// FuzzDispatcher is about what a dispatcher says of itself.
func FuzzDispatcher(f *testing.F) {
	exactjsontest.Fuzz(f, func(body []byte) (d Dispatcher, err error) { return d, exactjson.Unmarshal(body, &d) }, Dispatcher{Name: "d"})
}

// FuzzLease is about who has a lease.
func FuzzLease(f *testing.F) {
	exactjsontest.Fuzz(f, func(body []byte) (l leaseHolder, err error) { return l, exactjson.Unmarshal(body, &l) }, leaseHolder{"me", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
}

// FuzzVerdict: a server's answer that cannot be read leaves it open whether the message is stored. The answer is the
// server's, so its keys are read as its own clients read them.
func FuzzVerdict(f *testing.F) {
	f.Add([]byte(`{"stream":"S","seq":3}`))
	f.Add([]byte(`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"}}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		a, err := verdict("S", &nats.Msg{Data: answer})
		if err == nil && a.Error != nil || !json.Valid(answer) && !errors.Is(err, ErrUncertain) {
			t.Fatalf("%s: %+v, %v", answer, a, err)
		}
		_, _ = instance(answer)
	})
}
