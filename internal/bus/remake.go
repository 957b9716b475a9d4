package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// Known is what is known of Belay's streams and buckets, so that one that is removed behind its back can be made again as it was.
type Known struct {
	configs map[string]jetstream.StreamConfig
	missed  map[string]bool // not there at the last look
}

type streamNames struct {
	Total   int      `json:"total"`
	Streams []string `json:"streams"`
	refusal
}

// Remake looks which of Belay's streams and buckets are there, and makes those again, empty, that were there before and are gone
// now, at two looks one after the other. It returns the names of their streams; of a bucket with KV_ before it.
func (b *Bus) Remake(ctx context.Context, k *Known) (remade []string, err error) {
	if k.configs == nil {
		k.configs, k.missed = map[string]jetstream.StreamConfig{}, map[string]bool{}
	}
	there := map[string]bool{}
	for more := true; more; {
		page, err := ask[streamNames](ctx, b, "STREAM.NAMES", map[string]any{"offset": len(there)})
		if err != nil {
			return nil, fmt.Errorf("list the streams: %w", err)
		}
		for _, name := range page.Streams {
			there[name] = true
		}
		more = len(page.Streams) > 0 && len(there) < page.Total
	}
	var errs []error
	for _, name := range b.own() {
		made, err := b.remakeOne(ctx, k, name, there[name])
		if made {
			remade = append(remade, name)
		}
		errs = append(errs, err)
	}
	return remade, errors.Join(errs...)
}

// own are the names of the streams of the log, of what follows from it, and of the buckets.
func (b *Bus) own() (names []string) {
	for _, s := range b.streams(SetupOptions{Partitions: b.Partitions()}) {
		if s.Name != b.names.StepsStream() { // it goes with its server, and has its own way back
			names = append(names, s.Name)
		}
	}
	for _, bucket := range b.names.Buckets() {
		names = append(names, "KV_"+bucket)
	}
	return names
}

// remakeOne makes one of them again if it is gone, and remembers how it is made while it is there.
func (b *Bus) remakeOne(ctx context.Context, k *Known, name string, there bool) (made bool, err error) {
	config, known := k.configs[name]
	switch {
	case there && !known:
		s, err := b.stream(ctx, name)
		if err == nil {
			k.configs[name] = s.CachedInfo().Config
		}
		return false, wrapStream(name, err)
	case there || !known:
		delete(k.missed, name)
		return false, nil
	case !k.missed[name]: // a server that is catching up may not know of it yet
		k.missed[name] = true
		return false, nil
	}
	if _, err := b.stream(ctx, name); !errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, wrapStream(name, err)
	}
	if _, err := b.createStream(ctx, config); err != nil {
		return false, wrapStream(name, err)
	}
	delete(k.missed, name)
	if slices.Contains(b.names.Buckets(), name[min(len(name), len("KV_")):]) {
		b.buckets.Delete(name[len("KV_"):])
	}
	return true, nil
}
