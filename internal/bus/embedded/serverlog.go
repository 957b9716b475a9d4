package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"time"
)

// serverLog passes on the server's warnings and errors, and drops the rest. A fatal error, which would end a server program,
// is kept as the reason why this server did not start.
type serverLog struct {
	logger *slog.Logger
	fatal  chan string
	failed *failures
}

func newServerLog(logger *slog.Logger, failed *failures) serverLog {
	return serverLog{logger, make(chan string, 1), failed}
}

func (l serverLog) Noticef(string, ...any) {}
func (l serverLog) Debugf(string, ...any)  {}
func (l serverLog) Tracef(string, ...any)  {}
func (l serverLog) Warnf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	level := slog.LevelWarn
	if afterKill.MatchString(text) {
		level = slog.LevelInfo
	}
	l.logger.Log(context.Background(), level, "nats-server: "+text)
}

// afterKill matches what the server says about a store that was not closed: it rebuilds the indexes from the data, as it
// should.
var afterKill = regexp.MustCompile(`will rebuild|prior state|attempting to recover`)

func (l serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if m := failedWrite.FindStringSubmatch(text); m != nil {
		l.failed.add(m[1] + m[2])
	}
	l.logger.Error("nats-server: " + text)
}

// failedWrite matches what the server says when a write to a stream has failed: it refuses all later ones to that stream until
// the store is opened anew.
var failedWrite = regexp.MustCompile(`(?i)(?:\[([^\]\s]+)\] |stream '[^']* > ([^']+)' |)critical write error`)

// failures are the streams to which a write has failed since the store was opened.
type failures struct {
	mu      sync.Mutex
	streams []string
	since   time.Time
}

func (f *failures) add(stream string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.streams) == 0 {
		f.since = time.Now()
	}
	if !slices.Contains(f.streams, stream) {
		f.streams = append(f.streams, stream)
	}
}

func (f *failures) list() ([]string, time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.streams), f.since
}

func (f *failures) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.streams = nil
}

func (l serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.logger.Error("nats-server: " + text)
	select {
	case l.fatal <- text:
	default:
	}
}
