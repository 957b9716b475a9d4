package executor_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"belay/internal/executor"
	"belay/internal/steps"
)

func TestOutput(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ raw, format, want string }{
		{`{"n":12345678901234567890}`, executor.FormatJSON, `{"n":12345678901234567890}`}, {" 1.0\n", "", "1.0"}, {`"a"`, "", `"a"`},
		{"a<b> \x00\n", executor.FormatText, `{"text":"a<b> \u0000\n"}`}, {"", executor.FormatText, `{"text":""}`},
		{"\ufeff{\"a\":1}\r\n", "", `{"a":1}`}, {"\ufeffa", executor.FormatText, `{"text":"a"}`},
	} {
		got, err := executor.Output([]byte(c.raw), c.format, 0)
		if err != nil || string(got) != c.want {
			t.Errorf("Output(%q, %q) = %s, %v, want %s", c.raw, c.format, got, err, c.want)
		}
	}
	for _, raw := range []string{"", " ", "{", "{}{}", "NaN", "\"\xff\"", `'a'`, `{"a":01}`, strings.Repeat("1", steps.MaxOutput+1)} {
		_, err := executor.Output([]byte(raw), executor.FormatJSON, 0)
		f, ok := errors.AsType[steps.Fault](err)
		if !ok || f.Class != steps.InvalidOutput || !f.MayHaveActed() || !utf8.ValidString(f.Detail) || len(f.Detail) > 3<<10 {
			t.Errorf("Output(%.20q): %v, want invalid_output that may have acted, with readable evidence", raw, err)
		}
	}
	for _, levels := range []int{steps.MaxDepth + 1, 20_000} {
		deep := []byte(strings.Repeat("[", levels) + strings.Repeat("]", levels))
		_, err := executor.Output(deep, executor.FormatJSON, 0)
		if f, ok := errors.AsType[steps.Fault](err); !ok || f.Class != steps.InvalidOutput || !strings.Contains(f.Message, "at most 200 are possible") {
			t.Errorf("%d levels: %v", levels, err)
		}
		if _, err := executor.Output(deep, executor.FormatText, 0); err != nil {
			t.Errorf("a text with %d brackets: %v", levels, err)
		}
	}
	if _, err := executor.Output([]byte("a\xff"), executor.FormatText, 0); err == nil {
		t.Error("invalid UTF-8 was taken as text")
	}
}

func FuzzExcerpts(f *testing.F) {
	f.Add([]byte("üü雪😀"), 5)
	f.Add([]byte("\xff\x80\x80\x80"), 2)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		n &= 0xff
		for _, s := range []string{executor.Head(b, n), executor.Tail(b, n)} {
			if !utf8.ValidString(s) || len(s) > 3*n+3 && len(s) > 3*len(b) {
				t.Errorf("%q at %d: %q", b, n, s)
			}
		}
		if len(b) <= n && utf8.Valid(b) && (executor.Head(b, n) != string(b) || executor.Tail(b, n) != string(b)) {
			t.Errorf("%q at %d was changed though it is short and valid", b, n)
		}
	})
}

func TestExcerptsCutBetweenRunes(t *testing.T) {
	t.Parallel()
	if got := executor.Head([]byte("aüb"), 2); got != "a…" {
		t.Errorf("head = %q", got)
	}
	if got := executor.Tail([]byte("aüb"), 2); got != "…b" {
		t.Errorf("tail = %q", got)
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		late, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("custom"))
		defer cancel()
		<-late.Done()
		if f := executor.Stopped(late, steps.ActedNo); f.Class != steps.Timeout || f.Acted != steps.ActedNo {
			t.Errorf("after its deadline: %+v, want timeout", f)
		}
	})
	told, stop := context.WithCancelCause(t.Context())
	stop(steps.Fault{Class: steps.PolicyDenied, Acted: steps.ActedNo, Message: "cancelled by ann"})
	if f := executor.Stopped(told, steps.ActedMaybe); f.Class != steps.PolicyDenied || f.Acted != steps.ActedMaybe || f.Message != "cancelled by ann" {
		t.Errorf("with a fault as the cause: %+v", f)
	}
	plain, end := context.WithCancel(t.Context())
	end()
	if f := executor.Stopped(plain, steps.ActedMaybe); f.Class != steps.Unavailable || f.Message == "" {
		t.Errorf("without a cause: %+v", f)
	}
}

func TestRetryAfterWithoutTheirClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
		if got := executor.RetryAfter(at, "garbage"); got != time.Hour {
			t.Errorf("RetryAfter = %s, want 1h", got)
		}
	})
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	const secret = `p"ss/w+rd=ü`
	var s executor.Secrets
	if got := s.Redact("nothing to hide"); got != "nothing to hide" {
		t.Errorf("without secrets: %q", got)
	}
	s.Add("KEY", secret)
	s.Add("SHORT", "ab")
	s.Add("EMPTY", "")
	quoted, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{secret, string(quoted), url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
		if got := s.Redact("<" + form + ">ab"); !strings.Contains(got, "[value of KEY]") || strings.Contains(got, "w+rd") || !strings.HasSuffix(got, ">ab") {
			t.Errorf("%q became %q", form, got)
		}
	}
}

func TestHalfASecretIsCutOff(t *testing.T) {
	t.Parallel()
	var s executor.Secrets
	s.Add("KEY", "canary-0123456789")
	if got := s.Head([]byte("saw canary-0123456789 and then much text, canary-01"), true, 1000); strings.Contains(got, "canary") || !strings.HasPrefix(got, "saw [value of KEY] and") {
		t.Errorf("head = %q", got)
	}
	if got := s.Tail([]byte("23456789 and then much text, saw canary-0123456789 end"), true, 1000); strings.Contains(got, "23456789") || !strings.HasSuffix(got, "saw [value of KEY] end") {
		t.Errorf("tail = %q", got)
	}
	if got := s.Head([]byte("all"), false, 1000); got != "all" {
		t.Errorf("what is whole was cut: %q", got)
	}
}

func TestDecodeKeepsNumbers(t *testing.T) {
	t.Parallel()
	v, err := executor.Decode(json.RawMessage(`{"n":12345678901234567890}`))
	if n := v.(map[string]any)["n"]; err != nil || n != json.Number("12345678901234567890") {
		t.Errorf("n = %v (%T), %v", n, n, err)
	}
	if _, err := executor.Decode(json.RawMessage(`{`)); err == nil {
		t.Error("broken parameters were decoded")
	}
}
