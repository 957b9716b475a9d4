package bus

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
)

// serverLog hands the server's warnings and errors on; what it does from day to day is nobody's news. What would end a
// server of its own is kept as the reason why this one did not start.
type serverLog struct {
	log   *slog.Logger
	fatal chan string
}

func newServerLog(log *slog.Logger) serverLog { return serverLog{log, make(chan string, 1)} }

func (l serverLog) Noticef(string, ...any) {}
func (l serverLog) Debugf(string, ...any)  {}
func (l serverLog) Tracef(string, ...any)  {}
func (l serverLog) Warnf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	level := slog.LevelWarn
	if afterKill.MatchString(text) {
		level = slog.LevelInfo
	}
	l.log.Log(context.Background(), level, "nats-server: "+text)
}

// afterKill is what the server says of a store that nobody closed: its indexes are made again from the data. That is
// what is meant to happen.
var afterKill = regexp.MustCompile(`will rebuild|prior state|attempting to recover`)

func (l serverLog) Errorf(format string, v ...any) {
	l.log.Error("nats-server: " + fmt.Sprintf(format, v...))
}
func (l serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.log.Error("nats-server: " + text)
	select {
	case l.fatal <- text:
	default:
	}
}
