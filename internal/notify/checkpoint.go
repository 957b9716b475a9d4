package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"belay/internal/outbound"
)

// checkpointType is a contract with receivers.
const checkpointType = "dev.belay.audit.checkpoint.v1"

// checkpointEvent is the body, in the form of a CloudEvent like those of notices.
type checkpointEvent struct {
	SpecVersion string         `json:"specversion"`
	ID          string         `json:"id"` // made from the checkpoint, so that a receiver recognises repeats
	Source      string         `json:"source"`
	Type        string         `json:"type"`
	Time        time.Time      `json:"time"`
	Data        checkpointData `json:"data"`
}

type checkpointData struct {
	Checkpoint string `json:"checkpoint"` // as it was signed
}

// CheckpointPoster gives what posts a checkpoint of the audit trail to a URL, signed with the secret like the events of notices.
func CheckpointPoster(target, secret string, policy outbound.Policy) (func(ctx context.Context, checkpoint string) error, error) {
	if err := isTarget(target); err != nil {
		return nil, err
	}
	if secret == "" {
		return nil, errors.New("there is no secret to sign with: set BELAY_CHECKPOINTS_SECRET, made with: echo whsec_$(openssl rand -base64 32)")
	}
	w, err := newWebhook(target, "", []string{secret})
	if err != nil {
		return nil, err
	}
	w.through(policy)
	return w.postCheckpoint, nil
}

func (w *webhook) postCheckpoint(ctx context.Context, checkpoint string) error {
	sum := sha256.Sum256([]byte(checkpoint))
	now := time.Now()
	e := checkpointEvent{SpecVersion: "1.0", ID: "checkpoint-" + hex.EncodeToString(sum[:16]), Source: "belay/audit", Type: checkpointType, Time: now.UTC(), Data: checkpointData{checkpoint}}
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	header, err := w.signed(e.ID, now, body)
	if err != nil {
		return fmt.Errorf("sign event: %w", err)
	}
	return w.post(ctx, body, header)
}
