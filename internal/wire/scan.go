package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"

	"belay/internal/exactjson"
	"belay/internal/steps"
)

// The bodies that append.go writes are read by hand too, in exactly the form in which it writes them: a quarter of a
// dispatcher's time went into reading them with encoding/json. Whatever looks otherwise (other order, spaces, escapes,
// text that is not ASCII) is left to encoding/json; a fuzz test holds the two against each other.

// scan reads a body in its exact form. After the first surprise ok is false and nothing it gave counts.
type scan struct {
	b  []byte
	ok bool
}

// skip goes past a text that must come next.
func (s *scan) skip(text string) {
	if !s.next(text) {
		s.ok = false
	}
}

// next goes past a text if it comes next.
func (s *scan) next(text string) bool {
	if len(s.b) < len(text) || string(s.b[:len(text)]) != text {
		return false
	}
	s.b = s.b[len(text):]
	return true
}

func (s *scan) text(key string) string {
	s.skip(key)
	s.skip(`"`)
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

func (s *scan) digits() []byte {
	n := 0
	for n < len(s.b) && s.b[n] >= '0' && s.b[n] <= '9' {
		n++
	}
	d := s.b[:n]
	s.b = s.b[n:]
	if n == 0 || n > 9 || n > 1 && d[0] == '0' {
		s.ok = false
	}
	return d
}

func (s *scan) number(key string) int {
	s.skip(key)
	v := 0
	for _, c := range s.digits() {
		v = 10*v + int(c-'0')
	}
	return v
}

func (s *scan) seconds(key string) steps.Duration {
	if !s.next(key) {
		return 0
	}
	end := bytes.IndexByte(s.b, ',')
	if end < 0 || !json.Valid(s.b[:end]) {
		s.ok = false
		return 0
	}
	v, err := strconv.ParseFloat(string(s.b[:end]), 64)
	if err != nil {
		s.ok = false
	}
	s.b = s.b[end:]
	return steps.Duration(v * float64(time.Second))
}

func (s *scan) time(key string) time.Time {
	if !s.next(key) {
		return time.Time{}
	}
	var t time.Time
	if t.UnmarshalText([]byte(s.text(""))) != nil {
		s.ok = false
	}
	return t
}

// rest is the JSON value that ends the body.
func (s *scan) rest(key string) json.RawMessage {
	s.skip(key)
	last := len(s.b) - 1
	if !s.ok || last < 1 || s.b[last] != '}' {
		s.ok = false
		return nil
	}
	v := s.b[:last]
	if v[0] <= ' ' || v[last-1] <= ' ' || !json.Valid(v) {
		s.ok = false
		return nil
	}
	return bytes.Clone(v) // the body's buffer is larger, and what is kept of a run is kept for long
}

// value is a JSON value that something else follows.
func (s *scan) value(key string) json.RawMessage {
	s.skip(key)
	n := length(s.b)
	if !s.ok || n == 0 || !json.Valid(s.b[:n]) || s.b[0] <= ' ' || s.b[n-1] <= ' ' {
		s.ok = false
		return nil
	}
	v := bytes.Clone(s.b[:n])
	s.b = s.b[n:]
	return v
}

// length is where a value ends: at the first comma that is in no string, object or list.
func length(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += quoted(b[i+1:])
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return 0
}

// quoted is how many bytes a string takes after its first quote.
func quoted(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// optional is a text that is left out when it is empty.
func (s *scan) optional(key string) string {
	if len(s.b) < len(key) || string(s.b[:len(key)]) != key {
		return ""
	}
	return s.text(key)
}

func (s *scan) attempt() (a steps.Attempt) {
	a.Step = s.text(`,"step":`)
	a.Round = s.number(`,"round":`)
	a.Rung = s.number(`,"rung":`)
	a.Try = s.number(`,"try":`)
	return a
}

// end is the end of the body.
func (s *scan) end() bool {
	s.skip("}")
	return s.ok && len(s.b) == 0
}

const startedHead = `{"v":1,"type":"started"`

func scanStarted(body []byte) (e steps.Started, ok bool) {
	s := scan{body, true}
	s.skip(startedHead)
	e.Attempt = s.attempt()
	e.Worker = s.text(`,"worker":`)
	e.Delivery = s.optional(`,"delivery":`)
	e.Unheard = s.next(`,"unheard":true`)
	e.Company = steps.Company(s.optional(`,"company":`))
	return e, s.end()
}

func scanClaimed(body []byte) (e steps.Claimed, ok bool) {
	s := scan{body, true}
	s.skip(`{"v":1,"type":"claimed"`)
	e.Attempt = s.attempt()
	e.Worker = s.optional(`,"worker":`)
	return e, s.end()
}

func scanClosed(body []byte) (e steps.Closed, ok bool) {
	s := scan{body, true}
	s.skip(`{"v":1,"type":"closed"`)
	e.State = steps.RunState(s.text(`,"state":`))
	e.Reason = s.optional(`,"reason":`)
	return e, s.end()
}

func scanSucceeded(body []byte) (e steps.Succeeded, ok bool) {
	s := scan{body, true}
	s.skip(`{"v":1,"type":"succeeded"`)
	e.Attempt = s.attempt()
	e.Worker = s.text(`,"worker":`)
	e.Age = s.seconds(`,"age":`)
	e.Started = s.time(`,"started":`)
	e.Took = s.seconds(`,"took":`)
	e.Output = s.rest(`,"output":`)
	return e, s.ok
}

func (s *scan) proof() *steps.Proof {
	if !s.next(`,"proof":{`) {
		return nil
	}
	p := steps.Proof{Key: s.text(`"key":`), At: s.time(`,"at":`)}
	signature, err := base64.StdEncoding.DecodeString(s.text(`,"signature":`))
	if err != nil {
		s.ok = false
	}
	p.Signature = signature
	s.skip("}")
	return &p
}

func scanSubmitted(body []byte) (e steps.Submitted, ok bool) {
	s := scan{body, true}
	s.skip(`{"v":1,"type":"submitted"`)
	if s.next(`,"epoch":`) {
		e.Epoch = s.number("")
	}
	e.ToolsFile = s.optional(`,"tools_file":`)
	e.At = s.time(`,"at":`)
	e.In = s.seconds(`,"in":`)
	e.By = s.optional(`,"by":`)
	e.Via = s.optional(`,"via":`)
	e.Reason = s.optional(`,"reason":`)
	e.RetryOf = s.optional(`,"retry_of":`)
	e.KeyRun = s.optional(`,"key_run":`)
	e.Request = s.optional(`,"request":`)
	e.Token = s.optional(`,"token":`)
	e.Proof = s.proof()
	const labels = `,"labels":`
	if bytes.HasPrefix(s.b, []byte(labels)) && exactjson.Unmarshal(s.value(labels), &e.Labels) != nil {
		s.ok = false
	}
	e.Input = s.value(`,"input":`)
	e.Document = s.rest(`,"document":`)
	return e, s.ok
}

func scanStep(body []byte) (m steps.StepMessage, ok bool) {
	s := scan{body, true}
	s.skip(`{"v":1`)
	m.Run = s.text(`,"run":`)
	m.Attempt = s.attempt()
	m.Workflow = s.text(`,"workflow":`)
	m.Tool = s.text(`,"tool":`)
	m.RungName = s.text(`,"rung_name":`)
	m.Effects = steps.Effects(s.text(`,"effects":`))
	m.Key = s.text(`,"key":`)
	m.Timeout = s.seconds(`,"timeout":`)
	m.NotBefore = s.time(`,"not_before":`)
	m.Deadline = s.time(`,"deadline":`)
	m.Lane = steps.Lane(s.optional(`,"lane":`))
	if s.next(`,"policies":{"heard":[`) {
		m.Policies = &steps.Policies{Heard: []string{s.text("")}} // more of them are rare, and left to encoding/json
		s.skip(`]}`)
	}
	m.Params = s.rest(`,"params":`)
	return m, s.ok
}
