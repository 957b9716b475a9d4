package tally

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/wire"
)

// Request is what a process asks that keeps no tally: that what was found is accepted.
type Request struct {
	V      int    `json:"v"`
	Token  string `json:"token,omitempty"` // of whoever asks; sent in clear by programs of an older version only
	Name   string `json:"name"`            // who they say they are
	Via    string `json:"via"`             // cli
	Reason string `json:"reason"`          // in that person's words

	Calls      Calls    `json:"calls,omitempty"`      // what becomes of calls; empty = they are asked about
	Runs       []string `json:"runs,omitempty"`       // of these runs only; none = of all
	Partitions []int    `json:"partitions,omitempty"` // what was found in these only; none = in all

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
	V        int      `json:"v"`
	Accepted []Damage `json:"accepted"`
	Denied   bool     `json:"denied,omitempty"` // whoever asks may not
	Error    string   `json:"error,omitempty"`
}

// ErrDenied says that whoever asks may not accept what was found.
var ErrDenied = errors.New("not allowed")

// Serve answers other processes until ctx ends. Accept says who may and does it; an [ErrDenied] is told as such.
func Serve(ctx context.Context, b *bus.Bus, accept func(context.Context, Request) ([]Damage, error), ready func()) error {
	return b.AnswerShown(ctx, b.Names().Store(), ready, func(ctx context.Context, asked bus.Asked) []byte {
		var r Request
		a := Answer{V: wire.Version}
		if err := exactjson.Unmarshal(asked.Body, &r); err != nil || r.V != wire.Version {
			a.Error = "the request is of another version of the program"
		} else if found, err := accept(ctx, r.shown(asked.Shown)); err != nil {
			a.Denied, a.Error = errors.Is(err, ErrDenied), err.Error()
		} else {
			a.Accepted = found
		}
		out, err := json.Marshal(a)
		if err != nil {
			return []byte(`{"v":1,"error":"the answer cannot be written"}`)
		}
		return out
	})
}

// Ask asks a process that keeps the tally to accept what was found. [bus.ErrNobody] means that there is none.
func Ask(ctx context.Context, b *bus.Bus, r Request) ([]Damage, error) {
	token := r.Token
	r.V, r.Token = wire.Version, "" // it is proven, and not sent
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	back, err := b.RequestAs(ctx, b.Names().Store(), body, token)
	if err != nil {
		return nil, err
	}
	var a Answer
	switch err := exactjson.Unmarshal(back, &a); {
	case err != nil || a.V != wire.Version:
		return nil, errors.New("the dispatcher is of another version of the program")
	case a.Denied:
		return nil, fmt.Errorf("%w: %s", ErrDenied, a.Error)
	case a.Error != "":
		return nil, fmt.Errorf("the dispatcher says: %s", a.Error)
	}
	return a.Accepted, nil
}
