package observe

import (
	"io"
	"log/slog"
	"strings"

	"github.com/lmittmann/tint"
)

// LogOptions say how log lines look.
type LogOptions struct {
	Level slog.Leveler // the least that is logged; default info
	JSON  bool         // one object per line, for programs; else text for people
	Color bool         // color the text
}

// NewLogger makes a logger. It hides the values of all attributes that are named like secrets.
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
