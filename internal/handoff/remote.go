package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/people"
	"belay/internal/wire"
)

// ErrNoDesk says that no dispatcher is running that could carry out the act.
var ErrNoDesk = errors.New("no dispatcher answers: start `dispatcher serve` or `dispatcher dev`")

// LetIn finds out who asks; shown is what they showed, name is who they say they are.
type LetIn func(ctx context.Context, shown wire.Shown, name string) (people.Actor, error)

// Serve carries out the acts that other processes request over NATS, until ctx ends. Ready is called once they can.
func Serve(ctx context.Context, b *bus.Bus, k *Desk, letIn LetIn, ready func()) error {
	return b.AnswerShown(ctx, b.Names().People(), ready, func(ctx context.Context, a bus.Asked) []byte {
		done, err := k.serve(ctx, a, letIn)
		out, encodeErr := json.Marshal(reply{V: wire.Version, Done: done, Failure: failureOf(err)})
		if encodeErr != nil {
			out = []byte(`{"v":1,"failure":{"code":"internal","message":"the answer cannot be written"}}`)
		}
		return out
	})
}

func (k *Desk) serve(ctx context.Context, a bus.Asked, letIn LetIn) (Done, error) {
	var r request
	if err := exactjson.Unmarshal(a.Body, &r); err != nil || r.V != wire.Version {
		return Done{}, fmt.Errorf("%w: the request comes from another version of the program", ErrInvalid)
	}
	a.Shown.Token = r.Token
	who, err := letIn(ctx, a.Shown, r.Name)
	if err != nil {
		return Done{}, fmt.Errorf("%w: %w", people.ErrForbidden, err)
	}
	who.Via = r.Via
	return k.Act(ctx, who, r.ID, r.Act)
}

type request struct {
	V     int        `json:"v"`
	Token string     `json:"token,omitempty"` // in clear, of a program of an older version
	Name  string     `json:"name"`
	Via   string     `json:"via"`
	ID    string     `json:"id"`
	Act   people.Act `json:"act"`
}

type reply struct {
	V       int      `json:"v"`
	Done    Done     `json:"done"`
	Failure *failure `json:"failure,omitempty"`
}

// failure is an error on its way to another process.
type failure struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Before  *DecidedBefore `json:"before,omitempty"`
}

// codes are the names of the sentinels between processes and in the HTTP API.
var codes = []struct {
	code string
	err  error
}{
	{"unrecorded", ErrUnrecorded}, {"no_escalation", ErrNoEscalation}, {"passkey", ErrPasskey}, {"not_allowed", ErrNotAllowed}, {"sign_in", ErrSignIn}, {"forbidden", people.ErrForbidden}, {"decided", ErrDecidedBefore},
	{"invalid", ErrInvalid}, {"changed", ErrChanged}, {"claimed", ErrClaimed}, {"approved", ErrApproved},
	{"uncertain", bus.ErrUncertain}, {"no_writes", bus.ErrNoWrites}, {"full", bus.ErrFull},
}

// Code returns the name of an error of [Desk.Act] between processes; "internal" if the caller can do nothing about it.
func Code(err error) string {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return "internal"
}

func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Code: Code(err), Message: err.Error()}
	f.Before, _ = errors.AsType[*DecidedBefore](err)
	return f
}

// answered is a failure of another process, in the words of that process.
type answered struct {
	failure
	is error
}

func (t *answered) Error() string        { return t.Message }
func (t *answered) Is(target error) bool { return t.is != nil && errors.Is(t.is, target) }

func (f *failure) error() error {
	t := &answered{failure: *f}
	for _, c := range codes {
		if c.code == f.Code {
			t.is = c.err
		}
	}
	if f.Before != nil {
		return fmt.Errorf("%s%w", strings.TrimSuffix(f.Message, f.Before.Error()), f.Before)
	}
	return t
}

// Remote asks the desk of another process.
type Remote struct {
	Bus   *bus.Bus
	Token string // proven to the dispatcher; empty if it asks for none
}

// Act calls [Desk.Act] in the process of a dispatcher. Without one it is an [ErrNoDesk].
func (r Remote) Act(ctx context.Context, who people.Actor, id string, a people.Act) (Done, error) {
	body, err := json.Marshal(request{V: wire.Version, Name: who.Name, Via: who.Via, ID: id, Act: a})
	if err != nil {
		return Done{}, fmt.Errorf("%s %s: %w", a.Verb, id, err)
	}
	answer, err := r.Bus.RequestAs(ctx, r.Bus.Names().People(), body, r.Token)
	if errors.Is(err, bus.ErrNobody) {
		return Done{}, fmt.Errorf("%s %s: %w", a.Verb, id, ErrNoDesk)
	}
	if errors.Is(err, bus.ErrTooLarge) {
		return Done{}, fmt.Errorf("%s %s: %w: %w", a.Verb, id, ErrInvalid, err)
	}
	if errors.Is(err, bus.ErrDenied) {
		return Done{}, fmt.Errorf("%s %s: %w: %w", a.Verb, id, people.ErrForbidden, err)
	}
	if err != nil {
		if why := r.Bus.StoreTrouble(ctx); why != "" {
			err = fmt.Errorf("%w; %s", err, why)
		}
		return Done{}, fmt.Errorf("%s %s: it may have been done, and can be repeated without harm: %w", a.Verb, id, err)
	}
	var back reply
	if err := exactjson.Unmarshal(answer, &back); err != nil || back.V != wire.Version {
		return Done{}, fmt.Errorf("%s %s: the dispatcher is another version of the program", a.Verb, id)
	}
	if back.Failure != nil {
		return Done{}, back.Failure.error()
	}
	return back.Done, nil
}
