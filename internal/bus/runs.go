package bus

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/wire"
)

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
