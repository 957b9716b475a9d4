package runindex

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/runlog"
	"belay/internal/wire"
)

// request is what a process without an index asks one that has it.
type request struct {
	V      int            `json:"v"`
	Filter *runlog.Filter `json:"filter,omitempty"` // which runs to pick
	Most   int            `json:"most,omitempty"`
	Suffix string         `json:"suffix,omitempty"` // without a filter: the end of an id
}

type answer struct {
	V       int           `json:"v"`
	Picked  runlog.Picked `json:"picked"`
	IDs     []string      `json:"ids,omitempty"`
	NoPlace bool          `json:"no_place,omitempty"` // an [runlog.ErrNoPlace]
	Error   string        `json:"error,omitempty"`    // why there is no answer
}

// mostPicked is how many runs one request gets at most.
const mostPicked = 1000

// Serve answers other processes until ctx ends.
func (x *Index) Serve(ctx context.Context, ready func()) error {
	return x.bus.Answer(ctx, x.names.Lists(), ready, func(ctx context.Context, body []byte) []byte {
		a, err := x.answer(ctx, body)
		if err != nil {
			a = answer{NoPlace: errors.Is(err, runlog.ErrNoPlace), Error: err.Error()}
		}
		a.V = wire.Version
		out, err := json.Marshal(a)
		if err != nil {
			return []byte(`{"v":1,"error":"the answer cannot be written"}`)
		}
		return out
	})
}

func (x *Index) answer(ctx context.Context, body []byte) (a answer, err error) {
	var r request
	if err := exactjson.Unmarshal(body, &r); err != nil || r.V != wire.Version {
		return a, errOldVersion
	}
	if r.Filter == nil {
		a.IDs, err = x.EndingIn(ctx, r.Suffix)
		return a, err
	}
	a.Picked, err = x.Pick(ctx, *r.Filter, min(max(r.Most, 1), mostPicked))
	return a, err
}

var errOldVersion = errors.New("the request is of another version of the program")

// Remote asks the index of another process. Where none answers, the tail of the logs has to do.
type Remote struct{ Bus *bus.Bus }

// Pick is that of [runlog.Picker].
func (r Remote) Pick(ctx context.Context, f runlog.Filter, most int) (runlog.Picked, error) {
	a, err := r.ask(ctx, request{Filter: &f, Most: most})
	if errors.Is(err, bus.ErrNobody) {
		return runlog.Tail{Bus: r.Bus, Why: "No dispatcher answers"}.Pick(ctx, f, most)
	}
	return a.Picked, err
}

// EndingIn is that of [runlog.Picker].
func (r Remote) EndingIn(ctx context.Context, suffix string) ([]string, error) {
	a, err := r.ask(ctx, request{Suffix: suffix})
	if errors.Is(err, bus.ErrNobody) {
		return runlog.Tail{Bus: r.Bus}.EndingIn(ctx, suffix)
	}
	return a.IDs, err
}

func (r Remote) ask(ctx context.Context, q request) (a answer, err error) {
	q.V = wire.Version
	body, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	back, err := r.Bus.Request(ctx, r.Bus.Names().Lists(), body)
	if err != nil {
		return a, err
	}
	switch err := exactjson.Unmarshal(back, &a); {
	case err != nil || a.V != wire.Version:
		return a, errors.New("the dispatcher is of another version of the program")
	case a.NoPlace:
		return a, runlog.NoPlace(q.Filter.After)
	case a.Error != "":
		return a, fmt.Errorf("the dispatcher cannot say which runs there are: %s", a.Error)
	}
	return a, nil
}
