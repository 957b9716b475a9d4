package engine

import (
	"belay/internal/approval"
	"belay/internal/passkey"
	"belay/internal/worker"
)

// trusted are the keys by which a worker executes what people have approved.
func (e *Engine) trusted(o WorkerOptions) (worker.Keys, error) {
	if o.Trust != "" {
		return approval.Pinned(o.Trust)
	}
	at := approval.PinOptions{File: o.Pins, About: e.Bus.URL(), Own: e.signer, Logger: o.Logger}
	if at.File == "" && e.signer == nil {
		return approval.NewPublished(e.Bus), nil
	}
	if at.File == "" {
		at.File, at.About = e.signer.PinFile(), "the store in this state directory"
	}
	pins, err := approval.OpenPins(e.Bus, at)
	if err != nil {
		return nil, err
	}
	e.part(pins.Run)
	return pins, nil
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
