package scriptedmodel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/yamldoc"
)

// Script says what a model answers.
type Script struct {
	Answers []Answer // of those that fit a call and are not used up, the first one is given
}

// Answer is one answer, to whom it is given, and how it goes wrong.
type Answer struct {
	Call  int    // to this call alone, counted from 1; 0: to any
	Last  string // only where the text of the last message contains this
	Times int    // how often; 0: always

	Text   string          // what the model says
	Object json.RawMessage // said as text, in place of Text
	Calls  []Call          // of the tools that it wants used
	Fault  Fault           // how it goes wrong; empty: it does not
	Wait   time.Duration   // what a rate limit asks to wait

	Input, Output, Cached int64 // tokens that the answer took; 0: made of the lengths

	id string // of the answer
}

// Call is a use of a tool that the model asks for.
type Call struct {
	ID        string          // empty: made of the number of the call and its place
	Name      string          // of the tool
	Arguments json.RawMessage // any text: one that is not JSON is arguments that nobody can read
}

// Fault is a way in which an answer goes wrong.
type Fault string

// The faults.
const (
	RateLimited    Fault = "rate_limited"     // 429, with the wait as Retry-After
	Overloaded     Fault = "overloaded"       // 529
	Unavailable    Fault = "unavailable"      // 503
	Unauthorized   Fault = "unauthorized"     // 401
	ContextTooLong Fault = "context_too_long" // 400, in the provider's words
	Refusal        Fault = "refusal"          // the model declines, with Text as the reason
	ContentFilter  Fault = "content_filter"   // the provider's filter stops it
	Truncated      Fault = "truncated"        // the longest output that is allowed is reached after Text
	Garbage        Fault = "garbage"          // what no model writes
	Cut            Fault = "cut"              // the connection breaks in the middle
	Broken         Fault = "broken"           // an overload is reported after the answer has begun
	Hang           Fault = "hang"             // nothing comes, until the caller leaves
)

// Faults lists all of them.
func Faults() []Fault {
	return []Fault{RateLimited, Overloaded, Unavailable, Unauthorized, ContextTooLong, Refusal, ContentFilter, Truncated, Garbage, Cut, Broken, Hang}
}

// bytesPerToken is how long a token is where the script does not say how many there were.
const bytesPerToken = 4

// text is what the model says.
func (a Answer) text() string {
	if a.Object != nil {
		return string(a.Object)
	}
	return a.Text
}

// counted completes an answer with what depends on the call.
func (a Answer) counted(request []byte, n int) Answer {
	a.id = fmt.Sprintf("scripted-%d", n)
	calls := make([]Call, len(a.Calls))
	written := len(a.text())
	for i, c := range a.Calls {
		if c.ID == "" {
			c.ID = fmt.Sprintf("call_%d_%d", n, i+1)
		}
		if len(c.Arguments) == 0 {
			c.Arguments = json.RawMessage("{}")
		}
		c.Arguments = heard.ReplaceAllFunc(c.Arguments, func(m []byte) []byte { return fieldOf(request, string(m[2:len(m)-2])) })
		calls[i] = c
		written += len(c.Name) + len(c.Arguments)
	}
	a.Calls = calls
	if a.Input == 0 {
		a.Input = int64(len(request)+bytesPerToken-1) / bytesPerToken
	}
	if a.Output == 0 {
		a.Output = int64(written+bytesPerToken-1) / bytesPerToken
	}
	return a
}

// heard is a part of arguments that the conversation has: {{run}} is what the field run had last in what the model was told.
var heard = regexp.MustCompile(`\{\{\w+\}\}`)

func fieldOf(request []byte, name string) []byte {
	field := regexp.MustCompile(`\\*"` + name + `\\*"\s*:\s*\\*"([^"\\]*)`)
	all := field.FindAllSubmatch(request, -1)
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1][1]
}

// Parse reads a script. The error lists all mistakes.
func Parse(file string, data []byte) (Script, error) {
	f := &scriptFile{Reader: &yamldoc.Reader{}}
	root, ok := f.Reader.Parse(file, data, "script")
	if !ok {
		return Script{}, f.Problems.Err()
	}
	var s Script
	found := f.Object(root, "the script", yamldoc.Fields{"answers": func(n *yaml.Node) {
		f.List(n, "answers", func(_ int, e *yaml.Node) {
			var a Answer
			f.Object(e, "the answer", f.fields(&a))
			s.Answers = append(s.Answers, a)
		})
	}})
	f.Require(root, "the script", found, "answers")
	return s, f.Problems.Err()
}

type scriptFile struct{ *yamldoc.Reader }

// fields are the keys of an answer.
func (f *scriptFile) fields(a *Answer) yamldoc.Fields {
	return yamldoc.Fields{
		"call":   f.Int(&a.Call, 1, 1_000_000),
		"last":   f.text(&a.Last),
		"times":  f.Int(&a.Times, 1, 1_000_000),
		"text":   f.text(&a.Text),
		"object": f.json(&a.Object),
		"calls": func(n *yaml.Node) {
			f.List(n, "calls", func(_ int, e *yaml.Node) {
				var c Call
				found := f.Object(e, "the call", f.callFields(&c))
				f.Require(e, "the call", found, "name")
				a.Calls = append(a.Calls, c)
			})
		},
		"fault":  yamldoc.Choice(f.Reader, &a.Fault, Faults()...),
		"wait":   yamldoc.Duration(f.Reader, &a.Wait, 0),
		"tokens": func(n *yaml.Node) { f.Object(n, "tokens", f.tokenFields(a)) },
	}
}

// callFields are the keys of a call.
func (f *scriptFile) callFields(c *Call) yamldoc.Fields {
	return yamldoc.Fields{
		"id":        f.text(&c.ID),
		"name":      f.text(&c.Name),
		"arguments": f.json(&c.Arguments),
		"unreadable": func(n *yaml.Node) {
			if s, ok := f.Text(n); ok {
				c.Arguments = json.RawMessage(s)
			}
		},
	}
}

func (f *scriptFile) tokenFields(a *Answer) yamldoc.Fields {
	return yamldoc.Fields{"input": f.tokens(&a.Input), "output": f.tokens(&a.Output), "cached": f.tokens(&a.Cached)}
}

func (f *scriptFile) tokens(into *int64) yamldoc.Field {
	return func(n *yaml.Node) {
		var i int
		f.Int(&i, 0, 1_000_000_000)(n)
		*into = int64(i)
	}
}

func (f *scriptFile) text(into *string) yamldoc.Field {
	return func(n *yaml.Node) {
		if s, ok := f.Text(n); ok {
			*into = s
		}
	}
}

func (f *scriptFile) json(into *json.RawMessage) yamldoc.Field {
	return func(n *yaml.Node) {
		if v, ok := f.Value(n); ok {
			*into = encoded(v)
		}
	}
}

func encoded(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("scriptedmodel: what was read as JSON cannot fail to be written: " + err.Error())
	}
	return bytes.TrimSpace(b.Bytes())
}
