package schedules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Request is what a process asks that does not keep the schedules itself.
type Request struct {
	V       int              `json:"v"`
	Name    string           `json:"name"`              // who they say they are
	Via     string           `json:"via"`               // cli
	Add     *Schedule        `json:"add,omitempty"`     // a schedule to add
	Order   *steps.Submitted `json:"order,omitempty"`   // what its runs begin with
	Replace bool             `json:"replace,omitempty"` // one of its name may be there
	Do      Act              `json:"do,omitempty"`      // what to do about one that is there
	On      string           `json:"on,omitempty"`      // its name
	At      time.Time        `json:"at,omitzero"`       // to fire: when that was asked for, so that asked once more it is one
	Reason  string           `json:"reason,omitempty"`  // why

	Token string     `json:"-"` // of whoever asks; it is proven, and not sent
	Shown wire.Shown `json:"-"` // by whoever asks
}

// Act is what people do about a schedule.
type Act string

// What there is to do.
const (
	DoPause  Act = "pause"
	DoResume Act = "resume"
	DoRemove Act = "remove"
	DoFire   Act = "fire"
)

// answer is what became of it.
type answer struct {
	V        int       `json:"v"`
	Schedule *Schedule `json:"schedule,omitempty"`
	Firing   *Firing   `json:"firing,omitempty"` // that was asked for
	Kind     string    `json:"kind,omitempty"`   // of the error, a key of kinds
	Error    string    `json:"error,omitempty"`
}

var kinds = map[string]error{"none": ErrNone, "taken": ErrExists, "paused": ErrPaused, "not_paused": ErrNotPaused, "busy": ErrBusy, "wrong": ErrWrong, "denied": ErrDenied}

// Done is what came of a request: the schedule after it, and the firing that was asked for, if one was.
type Done struct {
	Schedule Schedule
	Firing   *Firing
}

// Serve answers other processes until ctx ends. Do says who may and does it.
func Serve(ctx context.Context, b *bus.Bus, do func(context.Context, Request) (Done, error), ready func()) error {
	return b.AnswerShown(ctx, b.Names().Schedules(), ready, func(ctx context.Context, asked bus.Asked) []byte {
		var r Request
		a := answer{V: wire.Version}
		if err := exactjson.Unmarshal(asked.Body, &r); err != nil || r.V != wire.Version {
			a.Error = "the request is of another version of the program"
		} else {
			r.Shown = asked.Shown
			a.of(do(ctx, r))
		}
		out, err := json.Marshal(a)
		if err != nil {
			return []byte(`{"v":1,"error":"the answer cannot be written"}`)
		}
		return out
	})
}

func (a *answer) of(d Done, err error) {
	if err == nil {
		a.Schedule, a.Firing = &d.Schedule, d.Firing
		return
	}
	a.Error = err.Error()
	for kind, is := range kinds {
		if errors.Is(err, is) {
			a.Kind = kind
		}
	}
}

// Ask asks a dispatcher. [bus.ErrNobody] means that there is none.
func Ask(ctx context.Context, b *bus.Bus, r Request) (Done, error) {
	r.V = wire.Version
	body, err := json.Marshal(r)
	if err != nil {
		return Done{}, err
	}
	back, err := b.RequestAs(ctx, b.Names().Schedules(), body, r.Token)
	if err != nil {
		return Done{}, err
	}
	var a answer
	if err := exactjson.Unmarshal(back, &a); err != nil || a.V != wire.Version {
		return Done{}, errors.New("the dispatcher is of another version of the program")
	}
	if is := kinds[a.Kind]; is != nil {
		return Done{}, refusal{is, a.Error}
	}
	if a.Error != "" || a.Schedule == nil {
		return Done{}, fmt.Errorf("the dispatcher says: %s", a.Error)
	}
	return Done{*a.Schedule, a.Firing}, nil
}

// refusal is an error in the words of the process that was asked.
type refusal struct {
	is   error
	text string
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.is }
