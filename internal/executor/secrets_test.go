package executor_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"pgregory.net/rapid"

	"belay/internal/executor"
)

// forms are ways in which programs write down what they were given, beside base64.
var forms = map[string]func(string) string{
	"as it is":       func(s string) string { return s },
	"JSON":           quoted,
	"JSON twice":     func(s string) string { return quoted(quoted(s)) },
	"JSON as PHP":    func(s string) string { return strings.ReplaceAll(quoted(s), "/", `\/`) },
	"JSON in ASCII":  func(s string) string { return units(s, `\u%04x`) },
	"JSON, upper":    func(s string) string { return units(s, `\u%04X`) },
	"ASCII twice":    func(s string) string { return units(s, `\\u%04x`) },
	"path":           url.PathEscape,
	"query":          url.QueryEscape,
	"percent, lower": func(s string) string { return each(s, "%%%02x") },
	"percent, upper": func(s string) string { return each(s, "%%%02X") },
	"percent twice":  func(s string) string { return each(s, "%%25%02x") },
	"hex, lower":     func(s string) string { return hex.EncodeToString([]byte(s)) },
	"hex, upper":     func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"hex, colons":    func(s string) string { return strings.TrimSuffix(each(s, "%02X:"), ":") },
	"xxd -p":         func(s string) string { return wrapped(hex.EncodeToString([]byte(s)), 6) },
	"source code":    func(s string) string { return each(s, `\x%02x`) },
	"HTML":           html.EscapeString,
	"HTML, numbers":  func(s string) string { return runes(s, "&#%d;") },
	"HTML, hex":      func(s string) string { return runes(s, "&#x%x;") },
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(b), `"`), `"`)
}

func units(s, as string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, as, u)
	}
	return b.String()
}

func each(s, as string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, as, c)
	}
	return b.String()
}

func runes(s, as string) string {
	var b strings.Builder
	for _, r := range s {
		fmt.Fprintf(&b, as, r)
	}
	return b.String()
}

func wrapped(s string, n int) string {
	var b strings.Builder
	for len(s) > n {
		b.WriteString(s[:n] + "\n")
		s = s[n:]
	}
	return b.String() + s
}

// secretText draws what a secret may be.
func secretText(t *rapid.T) string {
	return rapid.StringOfN(rapid.OneOf(rapid.RuneFrom([]rune(`abcXYZ0189/+=-_.~`)), rapid.RuneFrom([]rune("\"\\%&<>' \n\tüß雪😀"))), 8, 60, -1).Draw(t, "secret")
}

func TestSecretsAreFoundInEveryForm(t *testing.T) {
	for name, write := range forms {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				secret := secretText(t)
				var s executor.Secrets
				s.Add("OTHER", "another secret")
				s.Add("KEY", secret)
				if got := s.Redact("<!" + write(secret) + "!>"); got != "<![value of KEY]!>" {
					t.Fatalf("%q as %s is %q, and became %q", secret, name, write(secret), got)
				}
			})
		})
	}
}

func TestSecretsAreFoundInBase64(t *testing.T) {
	for name, enc := range map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.URLEncoding, "raw std": base64.RawStdEncoding, "raw url": base64.RawURLEncoding} {
		for form, write := range map[string]func(string) string{
			"whole": func(s string) string { return s }, "wrapped": func(s string) string { return wrapped(s, 7) },
			"in JSON": func(s string) string { return quoted(wrapped(s, 7)) }, "as PHP": forms["JSON as PHP"], "in a query": url.QueryEscape,
		} {
			t.Run(name+" "+form, func(t *testing.T) {
				rapid.Check(t, func(t *rapid.T) {
					secret := secretText(t)
					before := rapid.StringMatching(`[a-z:]{0,8}`).Draw(t, "before")
					after := rapid.StringMatching(`[a-z:]{0,8}`).Draw(t, "after")
					var s executor.Secrets
					s.Add("KEY", secret)
					coded := enc.EncodeToString([]byte(before + secret + after))
					got := s.Redact("<!" + write(coded) + "!>")
					if !strings.Contains(got, "[value of KEY]") {
						t.Fatalf("%q is not found in %q", secret, coded)
					}
					left := strings.TrimSuffix(strings.TrimPrefix(strings.Replace(got, "[value of KEY]", "", 1), "<!"), "!>")
					if all := (len(before)+len(after))*4/3 + 4; len(left) > 3*all {
						t.Fatalf("too much of %q is left: %q", coded, got)
					}
					if before == "" && after == "" && got != "<![value of KEY]!>" {
						t.Fatalf("%q became %q", coded, got)
					}
				})
			})
		}
	}
}

func TestRedactedJSONStaysJSON(t *testing.T) {
	var s executor.Secrets
	s.Add("PIN", "123456")
	s.Add("KEY", "line\nquote\"end\\")
	for answer, want := range map[string]string{
		`{"pin":123456}`:                    `{"pin":"[value of PIN]"}`,
		`{"pin":[1234567, 1.5],"s":"\"\\"}`: `{"pin":["[value of PIN]7", 1.5],"s":"\"\\"}`,
		`{"k":"a\nline\nquote\"end\\\n"}`:   `{"k":"a\n[value of KEY]\n"}`,
		`{"k":"\\line\nquote\"end\\"}`:      `{"k":"[value of KEY]"}`,
		`{"a\"b": 12345}`:                   `{"a\"b": 12345}`,
	} {
		if got := string(s.RedactAnswer([]byte(answer), executor.FormatJSON)); got != want || !json.Valid([]byte(got)) {
			t.Errorf("%s became %s, want %s", answer, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		secret := secretText(t)
		var s executor.Secrets
		s.Add("KEY", secret)
		doc, err := json.Marshal(map[string]any{"a": rapid.String().Draw(t, "before") + secret + rapid.String().Draw(t, "after"), "n": 12.50})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.RedactAnswer(doc, executor.FormatJSON); !json.Valid(got) {
			t.Fatalf("%s became %s", doc, got)
		}
	})
}

func TestHalfASecretIsLeftOutInEveryForm(t *testing.T) {
	const secret = "canary/secret-0123456789"
	var s executor.Secrets
	s.Add("KEY", secret)
	for name, write := range forms {
		whole := write(secret)
		for n := range len(whole) {
			head := s.Head([]byte("said: "+whole[:n]), true, 1000)
			if strings.TrimSuffix(head, "…") != "said: " {
				t.Errorf("%s: the first %d bytes are left as %q", name, n, head)
				break
			}
		}
		for n := 1; n < len(whole); n++ {
			tail := s.Tail([]byte(whole[n:]+" was said"), true, 1000)
			if !strings.HasSuffix(tail, "said") || len(tail) > len("… was said")+3 {
				t.Errorf("%s: from byte %d on it is left as %q", name, n, tail)
				break
			}
		}
	}
}

// A tool may answer with 256 kB, and may have several secrets.
func TestRedactingIsFast(t *testing.T) {
	var s executor.Secrets
	for i := range 5 {
		s.Add("KEY", fmt.Sprintf("sk-%d-0123456789abcdefghijklmnopqrstuvwxyz/+", i))
	}
	for name, text := range map[string]string{
		"prose":    strings.Repeat(`{"name":"a customer of ours","note":"said \"ok\" & left","path":"\/a\/b","id":12345},`, 3200),
		"slashes":  strings.Repeat(`\`, 256<<10),
		"percents": strings.Repeat(`%25`, 86<<10),
		"alike":    strings.Repeat("sk-1-0123456789abcdefghijklmnopqrstuvwxyz/", 6<<10),
		"hex":      strings.Repeat("736b2d31", 32<<10),
	} {
		began := time.Now()
		s.Redact(text)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: %d bytes took %s", name, len(text), took)
		}
	}
}

func BenchmarkRedact(b *testing.B) {
	var s executor.Secrets
	s.Add("KEY", "sk-live-0123456789abcdefghijklmnopqrstuvwxyz")
	text := []byte(strings.Repeat(`{"name":"a customer of ours","note":"said \"ok\" & left","id":12345},`, 3800))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s.RedactBytes(text)
	}
}
