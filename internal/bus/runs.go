package bus

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"belay/internal/wire"
)

// streamInfo is the part of a stream's info that is needed. Its subjects come in pages.
type streamInfo struct {
	Created time.Time `json:"created"`
	Now     time.Time `json:"ts"`
	Total   int       `json:"total"`
	State   struct {
		FirstTime time.Time         `json:"first_ts"`
		LastSeq   uint64            `json:"last_seq"`
		Messages  uint64            `json:"messages"`
		Subjects  map[string]uint64 `json:"subjects"`
	} `json:"state"`
	refusal
}

func (b *Bus) streamInfo(ctx context.Context, stream, filter string, offset int) (streamInfo, error) {
	asked := time.Now()
	info, err := ask[streamInfo](ctx, b, "STREAM.INFO."+stream, map[string]any{"subjects_filter": filter, "offset": offset})
	if err == nil {
		b.noteTime(info.Now, asked)
	}
	return info, err
}

// LastSeq returns the last sequence of a log partition.
func (b *Bus) LastSeq(ctx context.Context, partition int) (uint64, error) {
	name := b.names.RunsStream(partition)
	info, err := b.streamInfo(ctx, name, "", 0)
	if err != nil {
		return 0, fmt.Errorf("last sequence of stream %s: %w", name, err)
	}
	return info.State.LastSeq, nil
}

// StreamInfo tells one stream from another of the same name, and how far it goes.
type StreamInfo struct {
	Created time.Time // when it was made
	LastSeq uint64    // of the last message that it ever had

	Messages uint64 // how many it has now
}

// About is a stream as it is now.
func (b *Bus) About(ctx context.Context, stream string) (StreamInfo, error) {
	info, err := b.streamInfo(ctx, stream, "", 0)
	if err != nil {
		return StreamInfo{}, fmt.Errorf("state of stream %s: %w", stream, err)
	}
	return StreamInfo{info.Created, info.State.LastSeq, info.State.Messages}, nil
}

// Mark identifies the contents of a stream: adding a message changes it, and so does removing one.
type Mark struct {
	Last     uint64 // sequence of the last message that it ever had
	Messages uint64 // how many it has now
}

// Mark returns the current mark of a stream.
func (b *Bus) Mark(ctx context.Context, stream string) (Mark, error) {
	info, err := b.streamInfo(ctx, stream, "", 0)
	if err != nil {
		return Mark{}, fmt.Errorf("state of stream %s: %w", stream, err)
	}
	return Mark{info.State.LastSeq, info.State.Messages}, nil
}

// Oldest returns when the oldest message in a stream was stored; zero if the stream is empty.
func (b *Bus) Oldest(ctx context.Context, stream string) (time.Time, error) {
	info, err := b.streamInfo(ctx, stream, "", 0)
	if err != nil {
		return time.Time{}, fmt.Errorf("oldest message of stream %s: %w", stream, err)
	}
	if info.State.Messages == 0 {
		return time.Time{}, nil
	}
	return info.State.FirstTime, nil
}

// Subjects lists the subjects in a stream that match a filter, sorted. Beyond the first hundred thousand it can miss one if
// others are removed at the same time.
func (b *Bus) Subjects(ctx context.Context, stream, filter string) ([]string, error) {
	all, _, err := b.subjects(ctx, stream, filter)
	return all, err
}

// Queued lists the subjects in the step queue that match a filter, and returns when the queue was made: it is lost with its
// server, so what was queued before that may be lost.
func (b *Bus) Queued(ctx context.Context, filter string) (subjects []string, made time.Time, err error) {
	return b.subjects(ctx, b.names.StepsStream(), filter)
}

func (b *Bus) subjects(ctx context.Context, stream, filter string) ([]string, time.Time, error) {
	all := map[string]uint64{}
	for {
		info, err := b.streamInfo(ctx, stream, filter, len(all))
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("subjects %s of stream %s: %w", filter, stream, err)
		}
		maps.Copy(all, info.State.Subjects)
		if len(info.State.Subjects) == 0 || len(all) >= info.Total {
			return slices.Sorted(maps.Keys(all)), info.Created, nil
		}
	}
}

// RunInfo is a run in a partition.
type RunInfo struct {
	Run  string // its id
	Open bool   // it has not ended
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

// OpenRuns lists the runs of a partition that have not ended. One that ends between the two reads may be among them.
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
