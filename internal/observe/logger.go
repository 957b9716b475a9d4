package observe

import (
	"io"
	"log/slog"
	"strings"

	"github.com/lmittmann/tint"
)

// LogOptions say how log lines look.
type LogOptions struct {
	Level slog.Leveler // default Info
	JSON  bool         // one object a line, for programs; else text for people
	Color bool         // of text
}

// NewLogger makes a logger. What is named like a secret is hidden, whoever logs it.
func NewLogger(w io.Writer, o LogOptions) *slog.Logger {
	if o.Level == nil {
		o.Level = slog.LevelInfo
	}
	if o.JSON {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: o.Level, ReplaceAttr: forPrograms}))
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: o.Level, TimeFormat: "15:04:05.000", NoColor: !o.Color, ReplaceAttr: redact}))
}

// forPrograms writes durations in seconds, as metrics do.
func forPrograms(groups []string, at slog.Attr) slog.Attr {
	if at.Value.Kind() == slog.KindDuration {
		return slog.Float64(at.Key, at.Value.Duration().Seconds())
	}
	return redact(groups, at)
}

var secretWords = []string{"password", "secret", "token", "authorization", "api_key", "apikey", "credential", "seed"}

func redact(_ []string, at slog.Attr) slog.Attr {
	k := strings.ToLower(at.Key)
	for _, word := range secretWords {
		if strings.Contains(k, word) {
			return slog.String(at.Key, "[hidden]")
		}
	}
	return at
}
