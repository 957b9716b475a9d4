package mcptools

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"belay/internal/catalog"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// call is one that an agent makes.
type call struct {
	who     people.Actor
	caller  string // tells callers apart: the owner of the token, or what a client over stdio is called
	offer   catalog.Offer
	params  json.RawMessage // canonical: as they are compared, without the extra parameter
	request string          // the extra parameter; empty = none
	trace   string          // traceparent of the caller; empty = none
}

// DefaultSame is for how long after its end a run with unsafe effects answers the same call. It is counted from the end,
// and not from the call, because a person may have approved it days later. At that very moment, by the clock of the server
// that is asked, the next call is a new one.
const DefaultSame = 24 * time.Hour

// key is the part of a run's id that all runs of the same call share.
func (c call) key() (string, error) {
	parts, err := json.Marshal([]string{"belay mcp v1", c.caller, c.offer.Kind, c.offer.Name, c.request, string(c.params)})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(parts)
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:26]), nil
}

// idOf is the id of the nth run of a call, from 0. No caller of the HTTP API can choose such an id.
func idOf(key string, n int) string { return fmt.Sprintf("c%d-%s", n, key) }

// runOf is the id of the run that a call is: one that there is, or the next one. Nothing is stored: whoever submits the
// next one first has started it, and all others have the same id for it.
//
// The newest run of the call is found in the index of runs, by the end of its id; without any, it is the first. The index
// is only where the search begins: what is newer stands in the log.
func (s *Server) runOf(ctx context.Context, c call) (id string, err error) {
	key, err := c.key()
	if err != nil {
		return "", err
	}
	if c.request != "" { // as an idempotency key: one run, for as long as it is kept
		return idOf(key, 0), nil
	}
	n, err := s.newest(ctx, key)
	if err != nil || n < 0 {
		return idOf(key, 0), err
	}
	same, err := s.counts(ctx, c, idOf(key, n))
	if err == nil && !same {
		n++
	}
	return idOf(key, n), err
}

// newest is the number of the newest run of a call that is kept; -1 where there is none. What the index has and the log no
// longer does counts for nothing, or two servers that know of its removal at different times would name two runs.
func (s *Server) newest(ctx context.Context, key string) (n int, err error) {
	numbers, err := s.known(ctx, key)
	if err != nil {
		return 0, err
	}
	n = -1
	for _, i := range numbers {
		there, err := s.kept(ctx, idOf(key, i))
		if err != nil {
			return 0, err
		}
		if there {
			n = i
			break
		}
	}
	for {
		there, err := s.kept(ctx, idOf(key, n+1))
		if err != nil || !there {
			return n, err
		}
		n++
	}
}

// known are the numbers of the runs of a call that the index has, the newest first.
func (s *Server) known(ctx context.Context, key string) (numbers []int, err error) {
	ids, err := s.Runs.Picker.EndingIn(ctx, "-"+key)
	for _, id := range ids {
		number, _, _ := strings.Cut(strings.TrimPrefix(id, "c"), "-")
		if i, err := strconv.Atoi(number); err == nil && id == idOf(key, i) {
			numbers = append(numbers, i)
		}
	}
	slices.Sort(numbers)
	slices.Reverse(numbers)
	return numbers, err
}

// kept reports whether a run is in the log.
func (s *Server) kept(ctx context.Context, run string) (bool, error) {
	there, err := s.Runs.Submitted(ctx, run)
	if errors.Is(err, runlog.ErrFrozen) {
		return true, nil
	}
	return there != nil, err
}

// counts reports whether a run of the same call is the answer to this one.
func (s *Server) counts(ctx context.Context, c call, run string) (bool, error) {
	st, err := s.Runs.Load(ctx, run)
	switch {
	case errors.Is(err, runlog.ErrNoRun): // removed a moment ago
		return false, nil
	case errors.Is(err, runlog.ErrFrozen): // people must look at it; until then nobody knows what it has done
		return true, nil
	case err != nil:
		return false, err
	case !st.Closed():
		return true, nil
	}
	return c.offer.Effects == steps.EffectsUnsafe && s.Now().Sub(st.Ended) < s.Same, nil
}
