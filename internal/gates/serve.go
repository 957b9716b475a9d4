package gates

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/wire"
)

// Request is what a process asks that is not the one which closes and opens gates.
type Request struct {
	V      int    `json:"v"`
	Token  string `json:"token,omitempty"`  // of whoever asks; sent in clear by programs of an older version only
	Name   string `json:"name"`             // who they say they are
	Via    string `json:"via"`              // cli
	Close  *Gate  `json:"close,omitempty"`  // a gate to close: what it covers, why, and until when
	Open   string `json:"open,omitempty"`   // id of a gate to open
	Reason string `json:"reason,omitempty"` // why it is opened

	Shown wire.Shown `json:"-"` // by whoever asks
}

// shown is r with what was shown beside it.
func (r Request) shown(s wire.Shown) Request {
	r.Shown = s
	r.Shown.Token = r.Token
	return r
}

// Answer is what became of it.
type Answer struct {
	V      int    `json:"v"`
	Gate   *Gate  `json:"gate,omitempty"`
	Denied bool   `json:"denied,omitempty"` // whoever asks may not
	None   bool   `json:"none,omitempty"`   // there is no such gate
	Is     bool   `json:"is,omitempty"`     // it is open already
	Closed bool   `json:"closed,omitempty"` // one with its id is closed already
	Wrong  bool   `json:"wrong,omitempty"`  // what is asked for is wrong in itself
	Error  string `json:"error,omitempty"`
}

// ErrDenied says that whoever asks may not.
var ErrDenied = errors.New("not allowed")

// ErrWrong says that what was asked for is wrong in itself.
var ErrWrong = errors.New("not a gate")

// Serve answers other processes until ctx ends. Do says who may and does it.
func Serve(ctx context.Context, b *bus.Bus, do func(context.Context, Request) (Gate, error), ready func()) error {
	return b.AnswerShown(ctx, b.Names().Gates(), ready, func(ctx context.Context, asked bus.Asked) []byte {
		var r Request
		a := Answer{V: wire.Version}
		if err := exactjson.Unmarshal(asked.Body, &r); err != nil || r.V != wire.Version {
			a.Error = "the request is of another version of the program"
		} else if g, err := do(ctx, r.shown(asked.Shown)); err != nil {
			a.Closed = errors.Is(err, ErrClosed)
			a.Denied, a.None, a.Is, a.Wrong = errors.Is(err, ErrDenied), errors.Is(err, ErrNone), errors.Is(err, ErrOpen), errors.Is(err, ErrWrong)
			a.Error = err.Error()
		} else {
			a.Gate = &g
		}
		out, err := json.Marshal(a)
		if err != nil {
			return []byte(`{"v":1,"error":"the answer cannot be written"}`)
		}
		return out
	})
}

// Ask asks a dispatcher to close or open a gate. [bus.ErrNobody] means that there is none.
func Ask(ctx context.Context, b *bus.Bus, r Request) (Gate, error) {
	token := r.Token
	r.V, r.Token = wire.Version, "" // it is proven, and not sent
	body, err := json.Marshal(r)
	if err != nil {
		return Gate{}, err
	}
	back, err := b.RequestAs(ctx, b.Names().Gates(), body, token)
	if err != nil {
		return Gate{}, err
	}
	var a Answer
	if err := exactjson.Unmarshal(back, &a); err != nil || a.V != wire.Version {
		return Gate{}, errors.New("the dispatcher is of another version of the program")
	}
	for is, kind := range map[error]bool{ErrDenied: a.Denied, ErrNone: a.None, ErrOpen: a.Is, ErrClosed: a.Closed, ErrWrong: a.Wrong} {
		if kind {
			return Gate{}, refusal{is, a.Error}
		}
	}
	if a.Error != "" || a.Gate == nil {
		return Gate{}, fmt.Errorf("the dispatcher says: %s", a.Error)
	}
	return *a.Gate, nil
}

// refusal is an error in the words of the process that was asked.
type refusal struct {
	is   error
	text string
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.is }
