package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"belay/internal/exactjson"
	"belay/internal/steps"
)

// ErrPoison marks a body that this version cannot read. Whoever meets one stops that run and tells people; nobody
// skips it, but where only the workers of one tool can have written it ([steps.Junk]).
var ErrPoison = errors.New("unreadable message")

// EncodeEvent gives an event's body and the kind of subject that it belongs on. A body is one flat object that starts
// with the version and the type: {"v":1,"type":"succeeded","step":...}.
func EncodeEvent(e steps.Event) (kind string, body []byte, err error) {
	name, kind := nameOf(e)
	if ok, is := e.(steps.Succeeded); is {
		return kind, appendSucceeded(ok), nil
	}
	if s, is := e.(steps.Submitted); is {
		if body, ok := appendSubmitted(s); ok {
			return kind, body, nil
		}
	}
	fields, err := marshal(e)
	if err != nil {
		return "", nil, fmt.Errorf("encode %s: %w", name, err)
	}
	return kind, join(`{"v":1,"type":"`+name+`"`, fields), nil
}

// DecodeEvent reads a body that arrived on a subject of the given kind. A type that the kind does not allow is
// refused with [ErrPoison]: who may write a subject decides what may be said there.
func DecodeEvent(kind string, body []byte) (steps.Event, error) {
	if e, ok := scanEvent(kind, body); ok {
		return e, nil
	}
	name, err := typeOf(body)
	if err != nil {
		return nil, err
	}
	read, ok := readers[kind+"/"+name]
	if !ok {
		return nil, fmt.Errorf("%w: type %.40q on a %.40q subject", ErrPoison, name, kind)
	}
	e, err := read(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrPoison, name, err)
	}
	return e, nil
}

// scanEvent reads the events that every run has.
func scanEvent(kind string, body []byte) (steps.Event, bool) {
	switch kind {
	case KindOutcome:
		if bytes.HasPrefix(body, []byte(startedHead)) {
			return scanStarted(body)
		}
		return scanSucceeded(body)
	case KindPlan:
		return scanSubmitted(body)
	case KindClaim:
		return scanClaimed(body)
	case KindClock:
		return steps.Fired{}, string(body) == `{"v":1,"type":"fired"}`
	case KindResult:
		return scanClosed(body)
	}
	return nil, false
}

// EncodeStep gives the body of a step message.
func EncodeStep(m steps.StepMessage) []byte { return appendStep(m) }

// DecodeStep is the reverse of [EncodeStep].
func DecodeStep(body []byte) (steps.StepMessage, error) {
	if m, ok := scanStep(body); ok {
		return m, nil
	}
	var m struct {
		V int `json:"v"`
		steps.StepMessage
	}
	if err := exactjson.Unmarshal(body, &m); err != nil {
		return m.StepMessage, fmt.Errorf("%w: %w", ErrPoison, err)
	}
	return m.StepMessage, checkVersion(m.V)
}

func checkVersion(v int) error {
	if v == Version {
		return nil
	}
	return fmt.Errorf("%w: schema version %d, this program reads %d", ErrPoison, v, Version)
}

func typeOf(body []byte) (string, error) {
	// Our own encoder writes version and type first, so the usual case needs no parser.
	if rest, ok := bytes.CutPrefix(body, []byte(`{"v":1,"type":"`)); ok {
		if i := bytes.IndexByte(rest, '"'); i >= 0 {
			return string(rest[:i]), nil
		}
	}
	var head struct {
		V    int    `json:"v"`
		Type string `json:"type"`
	}
	if err := exactjson.Unmarshal(body, &head); err != nil {
		return "", fmt.Errorf("%w: %w", ErrPoison, err)
	}
	return head.Type, checkVersion(head.V)
}

// Unknown reports whether a body that cannot be read may say something that later versions know: its own version or its type is one that this
// program does not know. It also returns the attempt that the body names, if it names one as all that workers say does.
func Unknown(body []byte) (a steps.Attempt, newer bool) {
	if exactjson.Unmarshal(body, &a) != nil {
		a = steps.Attempt{}
	}
	var head struct {
		V    int    `json:"v"`
		Type string `json:"type"`
	}
	if err := exactjson.Unmarshal(body, &head); err != nil {
		return a, false
	}
	return a, head.V > Version || head.V == Version && head.Type != "" && !typeKnown(head.Type)
}

// typeKnown reports whether there is such a type, on subjects of whatever kind.
func typeKnown(name string) bool {
	for key := range readers {
		if _, of, _ := strings.Cut(key, "/"); of == name {
			return true
		}
	}
	return false
}

func nameOf(e steps.Event) (name, kind string) {
	switch e.(type) {
	case steps.Submitted:
		return "submitted", KindPlan
	case steps.Cancelled:
		return "cancelled", KindPlan
	case steps.Migrated:
		return "migrated", KindPlan
	case steps.Steered:
		return "steered", KindPlan
	case steps.Started:
		return "started", KindOutcome
	case steps.Progress:
		return "progress", KindOutcome
	case steps.Resumable:
		return "resumable", KindOutcome
	case steps.Succeeded:
		return "succeeded", KindOutcome
	case steps.Failed:
		return "failed", KindOutcome
	case steps.Objected:
		return "objected", KindOutcome
	case steps.Claimed:
		return "claimed", KindClaim
	case steps.Decided:
		return "decided", KindDecision
	case steps.Fired:
		return "fired", KindClock
	case steps.Unserved:
		return "unserved", KindClock
	case steps.Withdrawn:
		return "withdrawn", KindClock
	case steps.Damaged:
		return "damaged", KindClock
	case steps.Held:
		return "held", KindClock
	case steps.Released:
		return "released", KindClock
	case steps.Closed:
		return "closed", KindResult
	}
	panic(fmt.Sprintf("wire: event %T has no name", e))
}

var readers = map[string]func([]byte) (steps.Event, error){
	KindPlan + "/submitted":    read[steps.Submitted],
	KindPlan + "/cancelled":    read[steps.Cancelled],
	KindPlan + "/migrated":     read[steps.Migrated],
	KindPlan + "/steered":      read[steps.Steered],
	KindOutcome + "/started":   read[steps.Started],
	KindOutcome + "/progress":  read[steps.Progress],
	KindOutcome + "/resumable": read[steps.Resumable],
	KindOutcome + "/succeeded": read[steps.Succeeded],
	KindOutcome + "/failed":    read[steps.Failed],
	KindOutcome + "/objected":  read[steps.Objected],
	KindClaim + "/claimed":     read[steps.Claimed],
	KindDecision + "/decided":  read[steps.Decided],
	KindClock + "/fired":       read[steps.Fired],
	KindClock + "/unserved":    read[steps.Unserved],
	KindClock + "/withdrawn":   read[steps.Withdrawn],
	KindClock + "/damaged":     read[steps.Damaged],
	KindClock + "/held":        read[steps.Held],
	KindClock + "/released":    read[steps.Released],
	KindResult + "/closed":     read[steps.Closed],
}

func read[E steps.Event](body []byte) (steps.Event, error) {
	var e E
	err := exactjson.Unmarshal(body, &e)
	return e, err
}

// join puts a head like {"v":1 before the fields of an encoded object.
func join(head string, object []byte) []byte {
	b := make([]byte, 0, len(head)+len(object)+1)
	b = append(b, head...)
	if len(object) > len("{}") {
		b = append(b, ',')
	}
	return append(b, object[1:]...)
}

// marshal writes JSON without escaping <, > and &: bodies are data, never markup.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
