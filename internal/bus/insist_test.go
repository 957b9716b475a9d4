package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/bus/embedded"
)

// deaf is a JetStream domain beside the server's own, whose API is asked twice before it hears: like a cluster that is about
// to elect a leader, it does not answer the first time.
type deaf struct {
	mu    sync.Mutex
	asked map[string]int
}

func startDeaf(t *testing.T, s *embedded.Server) *deaf {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	d := &deaf{asked: map[string]int{}}
	_, err = nc.Subscribe("$JS.deaf.API.>", func(m *nats.Msg) {
		call := strings.TrimPrefix(m.Subject, "$JS.deaf.API.")
		if d.hears(call) {
			_ = nc.PublishMsg(&nats.Msg{Subject: "$JS.API." + call, Reply: m.Reply, Header: m.Header, Data: m.Data})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *deaf) hears(call string) bool {
	kind := call
	if words := strings.Split(call, "."); len(words) > 3 {
		kind = strings.Join(words[:3], ".") // the name of a new consumer is another one each time
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked[kind]++
	always := call == "INFO" || strings.HasPrefix(call, "DIRECT.GET.") || strings.HasPrefix(call, "CONSUMER.MSG.NEXT.")
	return always || d.asked[kind] > 1
}

func (d *deaf) times(t *testing.T, kind string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asked[kind] < 2 {
		t.Errorf("%s was asked %d times: %v", kind, d.asked[kind], d.asked)
	}
}

func TestWhatIsNotAnsweredIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval})
	d := startDeaf(t, s)
	b := dial(t, Options{InProcess: s, Domain: "deaf", Timeout: patience})
	setUp(t, b, SetupOptions{Partitions: 1})
	d.times(t, "STREAM.INFO.BELAY_RUNS_0")
	d.times(t, "STREAM.CREATE.BELAY_RUNS_0")
	d.times(t, "CONSUMER.INFO.BELAY_RUNS_0")

	put(t, b, "r0")
	if e, ok, err := b.Last(t.Context(), b.Names().RunsStream(0), "belay.runs.0.r0.*"); err != nil || !ok || e.Seq != 1 {
		t.Errorf("last: %v, %v, %v", e, ok, err)
	}
	d.times(t, "STREAM.MSG.GET")

	ctx, stop := context.WithCancel(t.Context())
	heard, ended := make(chan Entry, 10), make(chan error)
	began := make(chan struct{})
	go func() {
		ended <- b.FollowPartition(ctx, 0, "", func() { close(began) }, func(e Entry) { heard <- e })
	}()
	within(t, patience, began)
	d.times(t, "CONSUMER.CREATE.BELAY_RUNS_0")
	put(t, b, "r1")
	within(t, patience, heard)
	stop()
	if err := within(t, patience, ended); err != nil {
		t.Error(err)
	}

	if err := b.Purge(t.Context(), b.Names().RunsStream(0), "belay.runs.0.r0.*"); err != nil {
		t.Error(err)
	}
	d.times(t, "STREAM.PURGE.BELAY_RUNS_0")
}

func TestInsist(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	b.timeout = patience

	calls := 0
	none := errors.New("there is none")
	began := time.Now()
	_, err := insist(t.Context(), b, func(context.Context) (int, error) { calls++; return 0, none })
	if !errors.Is(err, none) || calls != 1 || time.Since(began) > b.timeout/2 {
		t.Errorf("an answer that says no: %v after %d calls and %s", err, calls, time.Since(began))
	}

	var mu sync.Mutex
	calls = 0
	v, err := insist(t.Context(), b, func(ctx context.Context) (int, error) {
		mu.Lock()
		calls++
		n := calls
		mu.Unlock()
		if n == 1 { // answers after it was asked again
			select {
			case <-time.After(firstListen + firstListen/2):
			case <-ctx.Done():
			}
			return 1, nil
		}
		<-ctx.Done()
		return n, ctx.Err()
	})
	if err != nil || v != 1 {
		t.Errorf("a late answer to the first question: %d, %v", v, err)
	}

	b.timeout, began = time.Second, time.Now()
	_, err = insist(t.Context(), b, func(context.Context) (int, error) {
		return 0, &jetstream.APIError{Code: 503, Description: "not now"}
	})
	if err == nil || !strings.Contains(err.Error(), "not now") || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) < b.timeout {
		t.Errorf("a server that never can: %v after %s", err, time.Since(began))
	}
}

// TestALostConnectionIsNoAnswer: whether the client's library or this package sees first that the connection was lost, the
// caller hears the same.
func TestALostConnectionIsNoAnswer(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	silent, err := b.nc.SubscribeSync("silent")
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		_, err := insist(t.Context(), b, func(ctx context.Context) (*nats.Msg, error) {
			go func() {
				_, _ = silent.NextMsgWithContext(ctx) // the question has been sent
				_ = b.nc.ForceReconnect()
			}()
			return b.nc.RequestWithContext(ctx, "silent", nil)
		})
		if !errors.Is(err, ErrUnreachable) {
			t.Fatal(err)
		}
		if err := b.AwaitConnection(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.away(fmt.Errorf("%w: %w", ErrUncertain, nats.ErrDisconnected)); !errors.Is(err, ErrUncertain) {
		t.Errorf("what may have been stored: %v", err)
	}
}

// TestAPurgeThatIsAskedAgainSparesWhatIsNew: the server removed what there was, its answer was lost, and the subject was
// written to before it was asked again.
func TestAPurgeThatIsAskedAgainSparesWhatIsNew(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval})
	direct := dial(t, Options{InProcess: s})
	setUp(t, direct, SetupOptions{Partitions: 1})
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	asked := 0
	_, err = nc.Subscribe("$JS.late.API.>", func(m *nats.Msg) {
		forward := &nats.Msg{Subject: "$JS.API." + strings.TrimPrefix(m.Subject, "$JS.late.API."), Reply: m.Reply, Header: m.Header, Data: m.Data}
		if strings.HasPrefix(forward.Subject, "$JS.API.STREAM.PURGE.") {
			if asked++; asked == 1 {
				_, err := nc.Request(forward.Subject, forward.Data, patience)
				if err != nil {
					t.Error(err)
				}
				put(t, direct, "r0")
				return
			}
		}
		_ = nc.PublishMsg(forward)
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	b := dial(t, Options{InProcess: s, Domain: "late", Timeout: patience})
	if err := b.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream, subject := b.Names().RunsStream(0), b.Names().LogOf(0, "r0")
	for _, purge := range []func(context.Context, string, string) error{b.Purge, b.PurgeButLast} {
		put(t, direct, "r0")
		put(t, direct, "r0")
		asked = 0
		if err := purge(t.Context(), stream, subject); err != nil || asked != 2 {
			t.Errorf("%v, asked %d times", err, asked)
		}
	}
	var seqs []uint64
	err = b.Scan(t.Context(), stream, subject, 0, func(e Entry) { seqs = append(seqs, e.Seq) })
	if err != nil || fmt.Sprint(seqs) != "[5 6]" {
		t.Errorf("left are %v, %v; want what was last, and what was stored meanwhile", seqs, err)
	}
}
