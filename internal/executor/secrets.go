package executor

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"belay/internal/exactjson"
	"belay/internal/steps"
)

// Secrets are values that an execution uses and that must not appear in its fault or output: a tool that echoes its
// request must not put a token into the run's log.
type Secrets struct {
	patterns []*pattern
	starts   *[256]bool // bytes that one of the patterns may begin with
}

// minSecret is the length in bytes of the shortest value that is hidden. Replacing shorter ones would garble texts
// without hiding much.
const minSecret = 6

// Add hides value and shows name instead. It is found verbatim, escaped as in JSON, URLs, HTML and source code, in hex
// and in base64, also within something longer.
func (s *Secrets) Add(name, value string) {
	if len(value) < minSecret {
		return
	}
	if s.starts == nil {
		s.starts = new([256]bool)
	}
	for _, p := range patternsOf(value, "[value of "+name+"]") {
		s.patterns = append(s.patterns, p)
		for c, may := range p.first {
			s.starts[c] = s.starts[c] || may
		}
	}
}

// AddAll calls [Secrets.Add] for each value, by its name.
func (s *Secrets) AddAll(all map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s.Add(name, all[name])
	}
}

// Redact hides the secrets in text.
func (s *Secrets) Redact(text string) string {
	if len(s.patterns) == 0 {
		return text
	}
	return string(s.redact([]byte(text), false))
}

// RedactBytes hides the secrets in an answer.
func (s *Secrets) RedactBytes(b []byte) []byte { return s.redact(b, false) }

// RedactAnswer hides the secrets in an answer of this format. JSON stays JSON, but a number that contains a secret
// becomes a string.
func (s *Secrets) RedactAnswer(b []byte, format string) []byte {
	b = bytes.TrimPrefix(b, byteOrderMark)
	hidden := s.redact(b, false)
	if format == FormatText || bytes.Equal(hidden, b) || exactjson.Valid(hidden) || !exactjson.Valid(b) {
		return hidden
	}
	if byToken := s.redactTokens(b); bytes.Equal(s.redact(byToken, false), byToken) {
		return byToken
	}
	return hidden
}

// Head is the first n bytes of b without secrets. With cut, b is itself the beginning of something longer, and half a
// secret at its end is left out.
func (s *Secrets) Head(b []byte, cut bool, n int) string {
	return Head(s.redact(b, cut), n)
}

// Tail is the last n bytes of b without secrets. With cut, b is itself the end of something longer, and half a secret
// at its beginning is left out.
func (s *Secrets) Tail(b []byte, cut bool, n int) string {
	if cut {
		b = b[s.rest(b):]
	}
	return Tail(s.redact(b, false), n)
}

// RedactFault hides the secrets in the message and the detail of a fault.
func (s *Secrets) RedactFault(f steps.Fault) steps.Fault {
	f.Message, f.Detail = s.Redact(f.Message), s.Redact(f.Detail)
	return f
}

// redact replaces every secret in b. With cut, b goes on where it ends, and a secret that has begun there is left out.
func (s *Secrets) redact(b []byte, cut bool) []byte {
	if len(s.patterns) == 0 {
		return b
	}
	var found []passage
	for _, v := range viewsOf(b) {
		found = s.search(found, v, cut)
	}
	if len(found) == 0 {
		return b
	}
	slices.SortFunc(found, func(a, z passage) int { return cmp.Or(a.from-z.from, z.to-a.to) })
	var out []byte
	done := 0 // up to here b is in out
	for _, p := range found {
		if p.half {
			return append(out, b[done:max(done, p.from)]...)
		}
		if p.from >= done {
			out = append(append(out, b[done:p.from]...), p.shown...)
		}
		done = max(done, p.to)
	}
	return append(out, b[done:]...)
}

// passage is where a secret is in a text.
type passage struct {
	from, to int
	half     bool // the text ends within it
	shown    string
}

// search adds the passages of a view.
func (s *Secrets) search(found []passage, v view, cut bool) []passage {
	for i := 0; i < len(v.text); i++ {
		if !s.starts[v.text[i]] {
			continue
		}
		p, m := s.find(v.text, i, cut)
		if p == nil {
			continue
		}
		found = append(found, passage{v.origin(p.begin(v.text, i)), v.origin(m.end), m.half, p.shown})
		i = m.end - 1
	}
	return found
}

// find gives the pattern that matches most of b from i on; nil for none.
func (s *Secrets) find(b []byte, i int, cut bool) (best *pattern, m match) {
	for _, p := range s.patterns {
		if !p.first[b[i]] {
			continue
		}
		found, ok := p.match(b, i, cut)
		if ok && (best == nil || m.half && !found.half || m.half == found.half && found.end > m.end) {
			best, m = p, found
		}
	}
	return best, m
}

// rest is how much of b, which was cut off from something longer before it, is the end of a secret.
func (s *Secrets) rest(b []byte) int {
	end := 0
	for _, v := range viewsOf(b) {
		for _, p := range s.patterns {
			end = max(end, v.origin(p.rest(v.text)))
		}
	}
	return end
}

// redactTokens hides the secrets in a JSON value without breaking it: in strings, and in the place of whole numbers.
func (s *Secrets) redactTokens(b []byte) []byte {
	var out []byte
	for len(b) > 0 {
		n := token(b)
		out = append(out, s.redactToken(b[:n])...)
		b = b[n:]
	}
	return out
}

func (s *Secrets) redactToken(token []byte) []byte {
	text := string(token)
	if token[0] == '"' {
		_ = json.Unmarshal(token, &text) // it is a part of valid JSON
	}
	hidden := s.Redact(text)
	if hidden == text {
		return token
	}
	return quote(hidden)
}

// token is the length of what b, a part of a valid JSON text, begins with: a string, a number or word, or any other
// byte.
func token(b []byte) int {
	switch c := b[0]; {
	case c == '"':
		for i := 1; i < len(b); i++ {
			switch b[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return len(b)
	case bytes.IndexByte([]byte("{}[],: \t\r\n"), c) >= 0:
		return 1
	}
	if n := bytes.IndexAny(b, "{}[],: \t\r\n"); n > 0 {
		return n
	}
	return len(b)
}
