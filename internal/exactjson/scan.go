package exactjson

import (
	"bytes"
	"strconv"
	"time"
)

// Scan reads a body by hand, in exactly the form in which one of our programs writes it: a quarter of a dispatcher's time went into
// reading such bodies with encoding/json. Whatever looks otherwise (other order, spaces, escapes, text that is not ASCII) is a surprise,
// after which nothing counts that the scan gave, and the body is left to [Unmarshal]; fuzz tests hold the two against each other.
type Scan struct {
	b  []byte
	ok bool
}

// NewScan begins to read a body.
func NewScan(body []byte) Scan { return Scan{body, true} }

// OK reports that there was no surprise.
func (s *Scan) OK() bool { return s.ok }

// Surprise says that the body is not of the form that is read.
func (s *Scan) Surprise() { s.ok = false }

// Skip goes past a text that must come next.
func (s *Scan) Skip(text string) {
	if !s.Next(text) {
		s.ok = false
	}
}

// Next goes past a text if it comes next.
func (s *Scan) Next(text string) bool {
	if !s.At(text) {
		return false
	}
	s.b = s.b[len(text):]
	return true
}

// At reports whether a text comes next.
func (s *Scan) At(text string) bool { return len(s.b) >= len(text) && string(s.b[:len(text)]) == text }

// Text is a string behind a key, which may be empty.
func (s *Scan) Text(key string) string {
	s.Skip(key)
	s.Skip(`"`)
	end := bytes.IndexByte(s.b, '"')
	if !s.ok || end < 0 {
		s.ok = false
		return ""
	}
	for _, c := range s.b[:end] {
		if c < 0x20 || c >= 0x7f || c == '\\' {
			s.ok = false
			return ""
		}
	}
	v := string(s.b[:end])
	s.b = s.b[end+1:]
	return v
}

// Optional is a string that is left out when it is empty.
func (s *Scan) Optional(key string) string {
	if !s.At(key) {
		return ""
	}
	return s.Text(key)
}

// Int is a number of at most nine digits without a sign.
func (s *Scan) Int(key string) int {
	s.Skip(key)
	v, n := 0, 0
	for n < len(s.b) && s.b[n] >= '0' && s.b[n] <= '9' {
		if n < 9 {
			v = 10*v + int(s.b[n]-'0')
		}
		n++
	}
	if n == 0 || n > 9 || n > 1 && s.b[0] == '0' {
		s.ok = false
	}
	s.b = s.b[n:]
	return v
}

// Seconds is a number of seconds, 0 when it is left out.
func (s *Scan) Seconds(key string) time.Duration {
	if !s.Next(key) {
		return 0
	}
	n := numberEnd(s.b)
	if n <= 0 {
		s.ok = false
		return 0
	}
	v, err := strconv.ParseFloat(string(s.b[:n]), 64)
	if err != nil {
		s.ok = false
	}
	s.b = s.b[n:]
	return time.Duration(v * float64(time.Second))
}

// Time is a time, zero when it is left out.
func (s *Scan) Time(key string) time.Time {
	if !s.Next(key) {
		return time.Time{}
	}
	var t time.Time
	if t.UnmarshalText([]byte(s.Text(""))) != nil {
		s.ok = false
	}
	return t
}

// Rest is the JSON value that ends the body, which is an object.
func (s *Scan) Rest(key string) []byte {
	s.Skip(key)
	last := len(s.b) - 1
	if !s.ok || last < 1 || s.b[last] != '}' {
		s.ok = false
		return nil
	}
	v := s.b[:last]
	s.b = nil
	if v[0] <= ' ' || v[last-1] <= ' ' || !Valid(v) {
		s.ok = false
		return nil
	}
	return bytes.Clone(v) // the body's buffer is larger, and what is kept of a run is kept for long
}

// Value is a JSON value that something else follows in an object.
func (s *Scan) Value(key string) []byte {
	s.Skip(key)
	if !s.ok || len(s.b) == 0 || s.b[0] <= ' ' {
		s.ok = false
		return nil
	}
	n := valueEnd(s.b)
	if n <= 0 || n == len(s.b) || s.b[n] != ',' {
		s.ok = false
		return nil
	}
	v := bytes.Clone(s.b[:n])
	s.b = s.b[n:]
	return v
}

// End goes past the end of the body, an object, and reports whether it was as expected to there.
func (s *Scan) End() bool {
	s.Skip("}")
	return s.ok && len(s.b) == 0
}
