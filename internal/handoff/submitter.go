package handoff

import (
	"context"
	"fmt"

	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Proofs checks what shows who submitted a run.
type Proofs interface {
	// Genuine reports whether a trusted key has signed it. An error means that this cannot be told now.
	Genuine(ctx context.Context, of steps.Submission, p steps.Proof) (bool, error)
}

// submitter says how well it is known who submitted a run. Whoever can write to the log can write a name there, and what
// looks like a proof of it; only a signature over exactly this run, made when it began, counts.
func (k *Desk) submitter(ctx context.Context, s *steps.State) (view.Submitter, error) {
	of, p := s.Proof()
	if p == nil || k.Proofs == nil {
		return view.SubmitterUnproven, nil
	}
	if !p.InTime(s.Submitted) {
		return view.SubmitterForged, nil
	}
	genuine, err := k.Proofs.Genuine(ctx, of, *p)
	switch {
	case err != nil:
		return "", err
	case !genuine:
		return view.SubmitterForged, nil
	}
	return view.SubmitterProven, nil
}

// countsOnSubmitter is asked for an approval by a rule that counts on who submitted the run: whether that is unproven, and
// why the approval is refused for it.
func (k *Desk) countsOnSubmitter(ctx context.Context, s *steps.State) (unproven bool, refused, err error) {
	known, err := k.submitter(ctx, s)
	if err != nil || known == view.SubmitterProven {
		return false, nil, err
	}
	if k.RequireProof {
		return true, fmt.Errorf("%w: %s", people.ErrForbidden, view.ProofRequired), nil
	}
	return true, nil, nil
}

// prove completes a dossier by what is known of who submitted the run.
func (k *Desk) prove(ctx context.Context, s *steps.State, d *view.Dossier) error {
	known, err := k.submitter(ctx, s)
	if err == nil {
		d.SubmittedBy(known, k.RequireProof)
	}
	return err
}
