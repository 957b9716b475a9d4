package engine

import (
	"context"
	"crypto/ed25519"

	"belay/internal/approval"
	"belay/internal/audit"
	"belay/internal/passkey"
	"belay/internal/worker"
)

// trusted are the keys by which a worker executes what people have approved. Where there is a place for them, it keeps checkpoints of the
// audit trail there too.
func (e *Engine) trusted(o *WorkerOptions) (worker.Keys, error) {
	at := approval.PinOptions{File: o.Pins, About: e.Bus.URL(), Own: e.signer, Logger: o.Logger}
	if at.File == "" && e.signer != nil {
		at.File, at.About = e.signer.PinFile(), "the store in this state directory"
	}
	if o.Trust != "" {
		given, err := approval.Pinned(o.Trust)
		if err != nil {
			return nil, err
		}
		return given, e.witness(o, at.File, given.Keys)
	}
	if at.File == "" {
		return approval.NewPublished(e.Bus), nil
	}
	pins, err := approval.OpenPins(e.Bus, at)
	if err != nil {
		return nil, err
	}
	e.part(pins.Run)
	return pins, e.witness(o, at.File, pins.Keys)
}

// witness has the worker keep what these keys have signed of the audit trail, beside the file of the keys that it pins; empty: it keeps none.
func (e *Engine) witness(o *WorkerOptions, pins string, keys func() []ed25519.PublicKey) error {
	if pins == "" {
		return nil
	}
	h, err := audit.OpenWitness(e.Bus, audit.WitnessFile(pins), keys, o.Logger)
	if err != nil && o.Trust != "" { // it needs no place on disk for its work
		o.Logger.Warn("this worker keeps no checkpoints of the audit trail", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	e.part(func(ctx context.Context) error {
		if err := h.Run(ctx); err != nil {
			o.Logger.Warn("this worker keeps no newer checkpoints of the audit trail than it has", "error", err)
		}
		return nil
	})
	o.Options.Checkpoints, e.kept = h.Kept, h.Kept
	return nil
}

// KeptCheckpoints are how many checkpoints of the audit trail the worker of this process keeps, and whether the trail contradicts them; ok is
// false where it keeps none.
func (e *Engine) KeptCheckpoints() (kept int, contradicted, ok bool) {
	if e.kept == nil {
		return 0, false, false
	}
	texts, why := e.kept()
	return len(texts), why != "", true
}

// passkeys are those by which a worker executes what only a person's passkey approves.
func (e *Engine) passkeys(o WorkerOptions) (worker.Passkeys, error) {
	switch {
	case o.Passkeys != "":
		return passkey.Trust(o.Passkeys, passkey.NewRegistry(e.Bus))
	case e.Desk != nil && e.Desk.PasskeyFile != "":
		return passkey.Mine(e.Desk.PasskeyFile, passkey.NewRegistry(e.Bus)), nil
	}
	return nil, nil
}
