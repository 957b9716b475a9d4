package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

// ReadLog reads all entries of a run's log after a sequence, in order.
func (b *Bus) ReadLog(ctx context.Context, run string, after uint64) ([]Entry, error) {
	p := wire.Partition(run, b.partitions)
	return b.readMany(ctx, b.names.RunsStream(p), b.names.LogOf(p, run), after)
}

// pageSize is how many messages one read asks for.
const pageSize = 512

// readMany reads the messages of a subject by batched direct gets: one round trip for a page.
func (b *Bus) readMany(ctx context.Context, stream, subject string, after uint64) ([]Entry, error) {
	var all []Entry
	for {
		page, more, err := b.readPage(ctx, stream, subject, after+1)
		if err != nil {
			return nil, fmt.Errorf("read %s from %s: %w", subject, stream, err)
		}
		all = append(all, page...)
		if !more || len(page) == 0 {
			return all, nil
		}
		after = page[len(page)-1].Seq
	}
}

func (b *Bus) readPage(ctx context.Context, stream, subject string, from uint64) (page []Entry, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	sub, err := b.nc.SubscribeSync(b.nc.NewInbox())
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	body, err := json.Marshal(map[string]any{"seq": from, "next_by_subj": subject, "batch": pageSize})
	if err != nil {
		return nil, false, err
	}
	if err := b.nc.PublishRequest(b.api("DIRECT.GET."+stream), sub.Subject, body); err != nil {
		return nil, false, err
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, false, err
		}
		if status := m.Header.Get("Status"); status != "" {
			return page, pending(m) > 0, directStatus(m, status)
		}
		e, err := directEntry(m)
		if err != nil {
			return nil, false, err
		}
		page = append(page, e)
		if len(page) == pageSize && pending(m) == 0 {
			return page, false, nil
		}
	}
}

// api is a JetStream API subject, in the domain of the connection.
func (b *Bus) api(call string) string {
	if domain := b.js.Options().Domain; domain != "" {
		return "$JS." + domain + ".API." + call
	}
	return jetstream.DefaultAPIPrefix + call
}

// directStatus: 204 ends a page, 404 says that there is nothing; the rest is trouble.
func directStatus(m *nats.Msg, status string) error {
	if status == "204" || status == "404" {
		return nil
	}
	return fmt.Errorf("the server says %s %s", status, m.Header.Get("Description"))
}

func pending(m *nats.Msg) uint64 {
	n, _ := strconv.ParseUint(m.Header.Get("Nats-Num-Pending"), 10, 64)
	return n
}

func directEntry(m *nats.Msg) (Entry, error) {
	seq, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return Entry{}, fmt.Errorf("sequence of a stored message: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get("Nats-Time-Stamp"))
	if err != nil {
		return Entry{}, fmt.Errorf("time of stored message %d: %w", seq, err)
	}
	return Entry{Seq: seq, Time: at, Subject: m.Header.Get("Nats-Subject"), Header: m.Header, Data: m.Data}, nil
}

// FollowLog calls f for every entry of a run's log after a sequence, in order, as they come, until ctx ends. It returns
// the reason why it stopped, nil when ctx ended.
func (b *Bus) FollowLog(ctx context.Context, run string, after uint64, f func(Entry)) error {
	p := wire.Partition(run, b.partitions)
	c, err := b.js.OrderedConsumer(ctx, b.names.RunsStream(p), jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{b.names.LogOf(p, run)}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
		InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("follow run %s: %w", run, err)
	}
	cc, err := c.Consume(func(m jetstream.Msg) {
		if d, ok := delivery(m); ok && ctx.Err() == nil {
			f(d.Entry)
		}
	}, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		b.consumeTrouble(b.names.RunsStream(p), "follow "+run, err)
	}))
	if err != nil {
		return fmt.Errorf("follow run %s: %w", run, err)
	}
	select {
	case <-ctx.Done():
		cc.Stop()
		<-cc.Closed()
		return nil
	case <-cc.Closed():
		return fmt.Errorf("follow run %s: the server ended the subscription", run)
	}
}

// LastSeq is the last sequence of a log partition.
func (b *Bus) LastSeq(ctx context.Context, partition int) (uint64, error) {
	name := b.names.RunsStream(partition)
	s, err := b.js.Stream(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", name, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// Subjects lists the subjects in a stream that match a filter.
func (b *Bus) Subjects(ctx context.Context, stream, filter string) ([]string, error) {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", stream, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, fmt.Errorf("subjects of stream %s: %w", stream, err)
	}
	return slices.Sorted(maps.Keys(info.State.Subjects)), nil
}

// RunInfo is a run in a partition.
type RunInfo struct {
	Run  string
	Open bool
}

// Runs lists the runs of a partition, by id.
func (b *Bus) Runs(ctx context.Context, partition int) ([]RunInfo, error) {
	ended, err := b.runsWith(ctx, partition, wire.KindResult)
	if err != nil {
		return nil, err
	}
	plans, err := b.runsWith(ctx, partition, wire.KindPlan)
	if err != nil {
		return nil, err
	}
	all := make([]RunInfo, 0, len(plans))
	for _, run := range plans {
		_, closed := slices.BinarySearch(ended, run)
		all = append(all, RunInfo{Run: run, Open: !closed})
	}
	return all, nil
}

// OpenRuns lists the runs of a partition that have no result. One that ends between the two reads may be among them.
func (b *Bus) OpenRuns(ctx context.Context, partition int) ([]string, error) {
	all, err := b.Runs(ctx, partition)
	if err != nil {
		return nil, err
	}
	var open []string
	for _, r := range all {
		if r.Open {
			open = append(open, r.Run)
		}
	}
	return open, nil
}

func (b *Bus) runsWith(ctx context.Context, partition int, kind string) ([]string, error) {
	subjects, err := b.Subjects(ctx, b.names.RunsStream(partition), b.names.LogKind(partition, kind))
	if err != nil {
		return nil, err
	}
	runs := make([]string, 0, len(subjects))
	for _, s := range subjects {
		if _, run, _, ok := b.names.ParseLog(s); ok {
			runs = append(runs, run)
		}
	}
	slices.Sort(runs)
	return runs, nil
}

// Last is the newest message on a subject; ok is false when there is none.
func (b *Bus) Last(ctx context.Context, stream, subject string) (e Entry, ok bool, err error) {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return e, false, fmt.Errorf("stream %s: %w", stream, err)
	}
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return e, false, nil
	}
	if err != nil {
		return e, false, fmt.Errorf("last of %s in %s: %w", subject, stream, err)
	}
	return Entry{Seq: m.Sequence, Time: m.Time, Subject: m.Subject, Header: m.Header, Data: m.Data}, true, nil
}

// Purge removes all messages on a subject.
func (b *Bus) Purge(ctx context.Context, stream, subject string) error {
	if strings.ContainsAny(subject, "*>") && !strings.HasPrefix(subject, b.names.Prefix+".") {
		return fmt.Errorf("purge %q: not one of Belay's subjects", subject)
	}
	s, err := b.js.Stream(ctx, stream)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSubject(subject))
	}
	if err != nil {
		return fmt.Errorf("purge %s from %s: %w", subject, stream, err)
	}
	return nil
}
