package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
)

// serverLog passes on the server's warnings and errors, and drops the rest. A fatal error, which would end a server program,
// is kept as the reason why this server did not start.
type serverLog struct {
	logger *slog.Logger
	fatal  chan string
}

func newServerLog(logger *slog.Logger) serverLog { return serverLog{logger, make(chan string, 1)} }

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
	l.logger.Error("nats-server: " + fmt.Sprintf(format, v...))
}
func (l serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.logger.Error("nats-server: " + text)
	select {
	case l.fatal <- text:
	default:
	}
}
