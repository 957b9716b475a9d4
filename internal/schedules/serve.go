package schedules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Request is what a process asks that does not keep the schedules itself.
type Request struct {
	V      int              `json:"v"`
	Token  string           `json:"token,omitempty"`  // that shows who asks
	Name   string           `json:"name"`             // who they say they are
	Via    string           `json:"via"`              // cli
	Add    *Schedule        `json:"add,omitempty"`    // a schedule to add
	Order  *steps.Submitted `json:"order,omitempty"`  // what its runs begin with
	Do     Act              `json:"do,omitempty"`     // what to do about one that is there
	On     string           `json:"on,omitempty"`     // its name
	Reason string           `json:"reason,omitempty"` // why
}

// Act is what people do about a schedule.
type Act string

// What there is to do.
const (
	DoPause  Act = "pause"
	DoResume Act = "resume"
	DoRemove Act = "remove"
)

// answer is what became of it.
type answer struct {
	V        int       `json:"v"`
	Schedule *Schedule `json:"schedule,omitempty"`
	Kind     string    `json:"kind,omitempty"` // of the error, a key of kinds
	Error    string    `json:"error,omitempty"`
}

var kinds = map[string]error{"none": ErrNone, "taken": ErrTaken, "wrong": ErrWrong, "denied": ErrDenied}

// Serve answers other processes until ctx ends. Do says who may and does it.
func Serve(ctx context.Context, b *bus.Bus, do func(context.Context, Request) (Schedule, error), ready func()) error {
	return b.Answer(ctx, b.Names().Schedules(), ready, func(ctx context.Context, body []byte) []byte {
		var r Request
		a := answer{V: wire.Version}
		if err := exactjson.Unmarshal(body, &r); err != nil || r.V != wire.Version {
			a.Error = "the request is of another version of the program"
		} else if s, err := do(ctx, r); err != nil {
			a.Error = err.Error()
			for kind, is := range kinds {
				if errors.Is(err, is) {
					a.Kind = kind
				}
			}
		} else {
			a.Schedule = &s
		}
		out, err := json.Marshal(a)
		if err != nil {
			return []byte(`{"v":1,"error":"the answer cannot be written"}`)
		}
		return out
	})
}

// Ask asks a dispatcher. [bus.ErrNobody] means that there is none.
func Ask(ctx context.Context, b *bus.Bus, r Request) (Schedule, error) {
	r.V = wire.Version
	body, err := json.Marshal(r)
	if err != nil {
		return Schedule{}, err
	}
	back, err := b.Request(ctx, b.Names().Schedules(), body)
	if err != nil {
		return Schedule{}, err
	}
	var a answer
	if err := exactjson.Unmarshal(back, &a); err != nil || a.V != wire.Version {
		return Schedule{}, errors.New("the dispatcher is of another version of the program")
	}
	if is := kinds[a.Kind]; is != nil {
		return Schedule{}, refusal{is, a.Error}
	}
	if a.Error != "" || a.Schedule == nil {
		return Schedule{}, fmt.Errorf("the dispatcher says: %s", a.Error)
	}
	return *a.Schedule, nil
}

// refusal is an error in the words of the process that was asked.
type refusal struct {
	is   error
	text string
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.is }
