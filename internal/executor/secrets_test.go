package executor_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
)

// secretText draws what a secret may be.
func secretText(t *rapid.T) string {
	return rapid.StringOfN(rapid.OneOf(rapid.RuneFrom([]rune(`abcXYZ0189/+=-_.~`)), rapid.RuneFrom([]rune("\"\\%&<>' \n\tüß雪😀"))), 8, 60, -1).Draw(t, "secret")
}

func TestSecretsAreFoundInEveryForm(t *testing.T) {
	t.Parallel()
	for name, write := range executortest.Disguises() {
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
	t.Parallel()
	for name, enc := range map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.URLEncoding, "raw std": base64.RawStdEncoding, "raw url": base64.RawURLEncoding} {
		for form, write := range map[string]func(string) string{
			"whole": func(s string) string { return s }, "wrapped": func(s string) string { return executortest.Wrapped(s, 7) },
			"in JSON": func(s string) string { return strings.ReplaceAll(executortest.Wrapped(s, 7), "\n", `\n`) }, "as PHP": executortest.Disguises()["JSON as PHP"], "in a query": url.QueryEscape,
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
	t.Parallel()
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
	t.Parallel()
	const secret = "canary/secret-0123456789"
	var s executor.Secrets
	s.Add("KEY", secret)
	for name, write := range executortest.Disguises() {
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
	t.Parallel()
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
		took := time.Since(began)
		t.Logf("%s: %d bytes took %s", name, len(text), took)
		const limit = 40 * time.Second // beside others, or under the race detector; what is quadratic takes minutes
		if took > limit {
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
