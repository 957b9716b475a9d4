package worker

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"

	"belay/internal/approval"
	"belay/internal/audit"
	"belay/internal/bus"
	"belay/internal/cli"
	"belay/internal/passkey"
	"belay/internal/plan"
	"belay/internal/worker"
)

// trust says by which keys the worker executes what people have approved.
type trust struct {
	given  approval.Given // nil = those that it pins
	file   string         // of those, and beside it that of the checkpoints that it keeps; empty = there is no place for them, and no tool needs one
	needed bool           // people approve calls of its tools

	passkeys string // file of those of people; empty = none is trusted
	asked    string // a tool whose approvals need one; empty = none does
}

// trust checks the keys that were given, or finds the place of those that are pinned, before the worker connects.
func (a *app) trust(conn bus.Options, tools *plan.Tools) (trust, error) {
	t, err := a.trustKeys(conn, tools)
	t.passkeys, t.asked = a.flags.Passkeys, tools.AskPasskey()
	if err == nil && t.passkeys != "" {
		if _, err = passkey.ReadFile(t.passkeys); err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = cli.WithCode(cli.ExitConfig, err)
		}
	}
	return t, err
}

func (a *app) trustKeys(conn bus.Options, tools *plan.Tools) (t trust, err error) {
	if a.flags.Trust != "" {
		if t.given, err = approval.Pinned(a.flags.Trust); err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = cli.WithCode(cli.ExitConfig, err)
		}
		if err != nil {
			return t, err
		}
	}
	t.needed = t.given == nil && tools.AskApproval()
	dir, err := a.StateDir()
	if err == nil {
		t.file = cli.PinFile(dir, conn.Server, conn.Context, a.Prefix)
	} else if !t.needed {
		err = nil
	}
	return t, err
}

// keys are the keys of a worker at its station.
func (t trust) keys(s *station, logger *slog.Logger) (worker.Keys, error) {
	switch {
	case t.given != nil:
		return t.given, nil
	case t.file == "":
		return nil, nil
	}
	pins, err := approval.OpenPins(s.bus, approval.PinOptions{File: t.file, About: s.bus.URL(), Logger: logger})
	if err != nil && t.needed {
		return nil, cli.WithCode(cli.ExitConfig, err)
	}
	if err != nil {
		logger.Debug("no keys are pinned, and no tool needs them", "error", err)
		return nil, nil
	}
	s.pins.Store(pins)
	return pins, nil
}

// keep has the worker keep checkpoints of the audit trail where the keys are that it pins, or would pin; nil where it trusts none, and where
// there is no place for them.
func (t trust) keep(s *station, logger *slog.Logger) (func() (kept []string, contradiction string), error) {
	keys := t.given.Keys
	if pins := s.pins.Load(); pins != nil {
		keys = pins.Keys
	} else if t.given == nil || t.file == "" {
		return nil, nil
	}
	h, err := audit.OpenWitness(s.bus, audit.WitnessFile(t.file), keys, logger)
	if err != nil && t.given != nil { // it needs no place on disk for its work
		logger.Warn("this worker keeps no checkpoints of the audit trail; give it a state directory of its own (--data-dir) for them", "error", err)
		return nil, nil
	}
	if err != nil {
		return nil, cli.WithCode(cli.ExitConfig, err)
	}
	s.witness.Store(h)
	return h.Kept, nil
}

// keeps has h keep checkpoints until ctx ends.
func (s *station) keeps(ctx context.Context, h *audit.Witness) {
	if err := h.Run(ctx); err != nil {
		s.logger.Warn("this worker keeps no newer checkpoints of the audit trail than it has", "error", err)
	}
}

// keptCheckpoints are how many checkpoints the worker keeps, and whether the trail contradicts them; ok is false where it keeps none.
func (s *station) keptCheckpoints() (kept int, contradicted, ok bool) {
	h := s.witness.Load()
	if h == nil {
		return 0, false, false
	}
	texts, why := h.Kept()
	return len(texts), why != "", true
}

// keysOfPeople are the passkeys by which a worker executes what asks for one.
func (t trust) keysOfPeople(s *station, logger *slog.Logger) (worker.Passkeys, error) {
	if t.passkeys != "" {
		return passkey.Trust(t.passkeys, passkey.NewRegistry(s.bus))
	}
	if t.asked != "" {
		logger.Warn("a tool asks for the passkey of whoever approves, and this worker trusts none: it refuses every call that needs one", "tool", t.asked,
			"do", "dispatcher passkeys export > passkeys.txt, look at who is in it, and start the worker with --passkeys passkeys.txt")
	}
	return nil, nil
}

// keys are how many keys the worker has pinned, and how many are published that it refuses; ok is false where it was given them.
func (s *station) keys() (pinned, foreign int, ok bool) {
	p := s.pins.Load()
	if p == nil {
		return 0, 0, false
	}
	mine, others := p.Pins()
	return len(mine), len(others), true
}
