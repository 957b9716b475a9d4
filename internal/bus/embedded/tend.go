package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// errAway says that the server is being started anew.
var errAway = errors.New("the embedded NATS server is being started anew, or has stopped")

// How often the server is looked after, how much room there must be for a start to be worth it, and how long it is left alone
// after one that did not help.
const (
	tendEvery  = 500 * time.Millisecond
	leastRoom  = 1 << 20
	probeSize  = 64 << 10
	firstPause = time.Second
	mostPause  = 2 * time.Second
	helped     = 30 * time.Second // a start after which nothing failed for so long
)

// Tend starts the server anew, on the same store and the same port, when it refuses writes because one has failed and a write to
// the disk succeeds again, until ctx ends. Clients connect again by themselves. Reopened is called after each such start; its
// error is logged.
func (s *Server) Tend(ctx context.Context, reopened func(context.Context) error) error {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	pause, last, down := firstPause, time.Time{}, false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		since := time.Since(last)
		if !down && !s.Refuses() || since < pause || s.probe() != nil {
			continue
		}
		if pause = min(2*pause, mostPause); since > helped {
			pause = firstPause
		}
		last, down = time.Now(), false
		s.logger.Warn("the embedded NATS server refuses writes, and the disk takes them again: it is started anew", "store", s.dir)
		err := s.reopen()
		if err == nil {
			err = reopened(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.logger.Error("the embedded NATS server did not start well; it is tried again", "store", s.dir, "error", err)
			down = true
			continue
		}
		s.logger.Warn("the embedded NATS server is started anew", "store", s.dir, "after", time.Since(last).Seconds())
	}
}

// Refuses reports whether the server takes no writes, or not as many as there is room for, until it is started anew.
func (s *Server) Refuses() bool {
	ns := s.current()
	failed, _ := s.Failed()
	return len(failed) > 0 || ns == nil || !ns.JetStreamEnabled() || s.outgrown()
}

// Failed lists the streams to which the server takes no writes until it is started anew, and since when.
func (s *Server) Failed() (streams []string, since time.Time) { return s.failed.list() }

// outgrown reports whether the limit that the server has found at its start is reached, and would be a larger one now.
func (s *Server) outgrown() bool {
	space, ok := s.Space()
	return ok && s.o.MaxStore == 0 && space.Used >= space.Limit && space.Free > leastRoom && (space.Used+space.Free)/4*3 > space.Limit+leastRoom
}

// probe writes to the file system of the store, as the server does.
func (s *Server) probe() error {
	if left, all, ok := free(s.dir); ok && left < min(leastRoom, all/4) {
		return fmt.Errorf("%d bytes are free", left)
	}
	name := filepath.Join(s.dir, "probe")
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, probeSize), 0)
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(name))
}

// reopen stops the server and starts another one on its store and its port.
func (s *Server) reopen() error {
	s.mu.Lock()
	old, closed := s.ns, s.closed
	s.ns = nil
	s.mu.Unlock()
	if closed {
		return errAway
	}
	if old != nil {
		shutDown(old)
	}
	if err := settle(s.dir); err != nil {
		return fmt.Errorf("write what cannot be told from what is stored: %w", err)
	}
	s.failed.forget()
	opts, err := s.o.server()
	if err != nil {
		return err
	}
	ns, err := s.open(opts)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		shutDown(ns)
		return errAway
	}
	s.ns = ns
	return nil
}

// settle writes the newest block of each stream over itself, and syncs it, while no server is running. What a failed sync leaves in
// the system's memory can be read, is taken for written, and never reaches the disk; what is confirmed behind it would be lost with
// it in a power cut.
func settle(dir string) error {
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil {
		return err
	}
	last := map[string]string{}
	for _, path := range blocks {
		if stream := filepath.Dir(path); last[stream] == "" || numberOf(path) > numberOf(last[stream]) {
			last[stream] = path
		}
	}
	var errs []error
	for _, path := range last {
		errs = append(errs, rewrite(path))
	}
	return errors.Join(errs...)
}

func rewrite(path string) error {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	return errors.Join(err, f.Sync(), f.Close())
}

// Dir is the folder of the store.
func (s *Server) Dir() string { return s.dir }

// Space is what the store takes, and has.
type Space struct {
	Used  int64 // bytes of all streams
	Limit int64 // bytes that they may have; the server refuses what is beyond
	Free  int64 // bytes that its file system has left
}

// Headroom is how many bytes more can be stored.
func (s Space) Headroom() int64 { return max(0, min(s.Limit-s.Used, s.Free)) }

// Space is what the store takes and has now; false where that cannot be found out.
func (s *Server) Space() (Space, bool) {
	ns := s.current()
	if ns == nil {
		return Space{}, false
	}
	config := ns.JetStreamConfig()
	stats, err := ns.Jsz(nil)
	left, _, ok := free(s.dir)
	if config == nil || err != nil {
		return Space{}, false
	}
	sp := Space{Used: int64(stats.Store), Limit: config.MaxStore, Free: left}
	if !ok {
		sp.Free = max(0, sp.Limit-sp.Used)
	}
	return sp, true
}
