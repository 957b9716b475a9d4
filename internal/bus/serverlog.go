package bus

import (
	"fmt"
	"log/slog"
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
	l.log.Warn("nats-server: " + fmt.Sprintf(format, v...))
}
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
