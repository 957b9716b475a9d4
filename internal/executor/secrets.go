package executor

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"

	"belay/internal/steps"
)

// Secrets are values that an execution uses and nobody may read afterwards: not in a fault, not in an output. A tool
// that echoes its request must not put a token into the log.
type Secrets struct {
	pairs   []string // what to replace, with what, in turn
	longest int      // of what to replace
}

// minSecret is the shortest value that is hidden: replacing shorter ones would garble any text without hiding much.
const minSecret = 6

// Add hides value, also where it is written in base64, percent-encoded or as a JSON string. Name is shown instead.
func (s *Secrets) Add(name, value string) {
	if len(value) < minSecret {
		return
	}
	quoted, _ := json.Marshal(value) // a string always can be
	forms := []string{
		value, strings.Trim(string(quoted), `"`), url.QueryEscape(value), url.PathEscape(value),
		base64.StdEncoding.EncodeToString([]byte(value)), base64.RawURLEncoding.EncodeToString([]byte(value)),
	}
	for _, form := range forms {
		s.pairs = append(s.pairs, form, "[value of "+name+"]")
		s.longest = max(s.longest, len(form))
	}
}

// Redact hides the secrets in text.
func (s *Secrets) Redact(text string) string {
	if len(s.pairs) == 0 {
		return text
	}
	return strings.NewReplacer(s.pairs...).Replace(text)
}

// RedactBytes hides the secrets in an answer, before anything is made of it.
func (s *Secrets) RedactBytes(b []byte) []byte {
	if len(s.pairs) == 0 {
		return b
	}
	return []byte(s.Redact(string(b)))
}

// Head is the beginning of b, at most n bytes, without secrets. Where b itself is cut off from something longer, its
// end may be half a secret, which nobody would recognise; so much of it is left out.
func (s *Secrets) Head(b []byte, cut bool, n int) string {
	b = s.RedactBytes(b)
	if cut {
		b = b[:max(0, len(b)-s.longest)]
	}
	return Head(b, n)
}

// Tail is the end of b, like [Secrets.Head].
func (s *Secrets) Tail(b []byte, cut bool, n int) string {
	b = s.RedactBytes(b)
	if cut {
		b = b[min(s.longest, len(b)):]
	}
	return Tail(b, n)
}

// RedactFault hides the secrets in what people read of a fault.
func (s *Secrets) RedactFault(f steps.Fault) steps.Fault {
	f.Message, f.Detail = s.Redact(f.Message), s.Redact(f.Detail)
	return f
}
