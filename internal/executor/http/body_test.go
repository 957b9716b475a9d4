package httpexec_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/steps"
)

func encoded(t *testing.T, e encoding.Encoding, s string) string {
	t.Helper()
	b, err := e.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func saying(code int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func TestCharsets(t *testing.T) {
	t.Parallel()
	const said = `{"city":"Zürich","price":"5 €"}`
	latin := `{"city":"Zürich"}`
	big, little := unicode.UTF16(unicode.BigEndian, unicode.UseBOM), unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	for _, c := range []struct{ kind, body, want string }{
		{"application/json", "\ufeff" + said, said},
		{"application/json; charset=UTF-8", "\ufeff" + said + "\r\n", said},
		{"application/json; charset=iso-8859-1", encoded(t, charmap.ISO8859_1, latin), latin},
		{`application/json; charset="ISO-8859-1"`, encoded(t, charmap.ISO8859_1, latin), latin},
		{"application/json; charset=windows-1252", encoded(t, charmap.Windows1252, said), said},
		{"application/json; charset=iso-8859-15", encoded(t, charmap.ISO8859_15, said), said},
		{"application/json; charset=utf-16", encoded(t, big, said), said},
		{"application/json; charset=utf-16", encoded(t, little, said), said},
		{"application/json; charset=utf-16", encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), said), said},
		{"application/json; charset=utf-16be", encoded(t, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), said), said},
		{"application/json", encoded(t, little, said), said},
		{"application/json; charset=shift_jis", encoded(t, japanese.ShiftJIS, `{"city":"東京"}`), `{"city":"東京"}`},
		{"application/json; charset=", said, said},
		{"application/json; charset=us-ascii", said, said},
	} {
		x := get(t, saying(200, c.body, "Content-Type", c.kind))
		if got := string(executortest.Output(t.Context(), t, x, executortest.Request(`{}`))); got != c.want {
			t.Errorf("%s: output = %s, want %s", c.kind, got, c.want)
		}
	}
}

func TestCharsetOfTextAndOfRefusals(t *testing.T) {
	t.Parallel()
	body := encoded(t, charmap.Windows1252, "“Zürich” costs 5 €")
	server := service(t, saying(200, body, "Content-Type", "text/plain; charset=windows-1252"))
	x := client(t).Executor(executor.HTTP{URL: text(server.URL), Response: executor.FormatText})
	if got, want := string(executortest.Output(t.Context(), t, x, executortest.Request(`{}`))), `{"text":"“Zürich” costs 5 €"}`; got != want {
		t.Errorf("output = %s, want %s", got, want)
	}
	f := executortest.Fault(t.Context(), t, get(t, saying(422, body, "Content-Type", "text/plain; charset=windows-1252")), executortest.Request(`{}`))
	if f.Detail != "“Zürich” costs 5 €" {
		t.Errorf("detail = %q, want what was said", f.Detail)
	}
}

func TestUnknownCharsetsAndBytesThatAreNone(t *testing.T) {
	t.Parallel()
	for kind, says := range map[string]string{
		"application/json; charset=klingon": `"klingon"`, "application/json; charset=iso-2022-kr": `"iso-2022-kr"`,
		"application/json; charset=utf-8": "UTF-8", "application/json": "UTF-8",
	} {
		f := executortest.Fault(t.Context(), t, get(t, saying(200, "{\"a\":\"\xfc\"}", "Content-Type", kind)), executortest.Request(`{}`))
		if f.Class != steps.InvalidOutput || !strings.Contains(f.Message, says) {
			t.Errorf("%s: fault = %+v, want invalid_output that names %s", kind, f, says)
		}
	}
}

func compressed(t *testing.T, to func(io.Writer) io.WriteCloser, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := to(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipped(w io.Writer) io.WriteCloser  { return gzip.NewWriter(w) }
func zlibbed(w io.Writer) io.WriteCloser  { return zlib.NewWriter(w) }
func deflated(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 6); return f }

// asking is a rung with an Accept-Encoding of its own.
func asking(t *testing.T, h http.HandlerFunc) executor.Executor {
	t.Helper()
	accept := map[string]executor.Text{"accept-encoding": text("gzip, deflate")}
	return client(t).Executor(executor.HTTP{URL: text(service(t, h).URL), Headers: accept, MaxBytes: executortest.Limit})
}

func TestCompressedAnswers(t *testing.T) {
	t.Parallel()
	const said = `{"a":"what was said"}`
	for _, c := range []struct{ encoding, body string }{
		{"gzip", compressed(t, gzipped, said)}, {"X-GZIP", compressed(t, gzipped, said)}, {"identity", said},
		{"deflate", compressed(t, zlibbed, said)}, {"deflate", compressed(t, deflated, said)},
		{"deflate, gzip", compressed(t, gzipped, compressed(t, zlibbed, said))},
	} {
		if got := string(executortest.Output(t.Context(), t, asking(t, saying(200, c.body, "Content-Encoding", c.encoding)), executortest.Request(`{}`))); got != said {
			t.Errorf("%s: output = %q, want %s", c.encoding, got, said)
		}
		f := executortest.Fault(t.Context(), t, asking(t, saying(400, c.body, "Content-Encoding", c.encoding)), executortest.Request(`{}`))
		if f.Detail != said {
			t.Errorf("%s: detail = %q, want %s", c.encoding, f.Detail, said)
		}
	}
	none := asking(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusNoContent)
	})
	if got := string(executortest.Output(t.Context(), t, none, executortest.Request(`{}`))); got != "null" {
		t.Errorf("output of no content = %q, want null", got)
	}
}

func TestCompressedAnswersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	large := compressed(t, gzipped, `"`+strings.Repeat("x", 10<<20)+`"`)
	broken := []byte(compressed(t, gzipped, `{"a":"what was said"}`))
	broken[len(broken)-8] ^= 1 // of its checksum
	for name, c := range map[string]struct{ encoding, body, says string }{
		"unknown": {"br", "\x01\x02", `"br"`}, "not compressed": {"gzip", `{"a":"what was said"}`, "broken"},
		"broken": {"gzip", string(broken), "broken"}, "a bomb": {"gzip", large, "larger than"},
	} {
		f := executortest.Fault(t.Context(), t, asking(t, saying(200, c.body, "Content-Encoding", c.encoding)), executortest.Request(`{}`))
		if f.Class != steps.InvalidOutput || !strings.Contains(f.Message, c.says) || f.Status != 200 {
			t.Errorf("%s: fault = %+v, want invalid_output that says %q", name, f, c.says)
		}
	}
}
