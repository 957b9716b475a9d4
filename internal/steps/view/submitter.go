package view

import "belay/internal/steps"

// Submitter says how well it is known who submitted a run.
type Submitter string

const (
	SubmitterProven   Submitter = "proven"   // their token was shown, and the way in that saw it has signed that
	SubmitterUnproven Submitter = "unproven" // there is a name, and nobody has checked it
	SubmitterForged   Submitter = "forged"   // the log has what should prove it, and it does not
)

// ProofRequired says why an approval is refused that counts on who submitted the run, and what to do.
const ProofRequired = "nobody has checked who submitted the run, and this server takes no approval under not_submitter then (--require-proven-submitter): reject it, and submit it through the HTTP API with a token"

// SubmittedBy completes a dossier by how well it is known who submitted the run; required refuses approvals that count on
// it where it is not proven.
func (d *Dossier) SubmittedBy(known Submitter, required bool) {
	d.SubmitterProven = known == SubmitterProven
	switch {
	case d.SubmitterProven:
		d.Submitted = "submitted by " + d.By + ", shown by its token"
	case d.By == "":
		d.Submitted = "does not say who submitted it"
	case known == SubmitterForged:
		d.Submitted = "says it was submitted by " + d.By + "; the proof of that is not genuine"
	default:
		d.Submitted = "says it was submitted by " + d.By + "; nobody checked that"
	}
	if a := d.Approval; a != nil && a.NotSubmitter && !d.SubmitterProven {
		a.Unproven, a.Refused = true, ""
		if required {
			a.Refused = ProofRequired
		}
	}
}

// unproven is what whoever approved is told, and the log and the audit trail say, about who submitted the run.
func (s run) unproven(d steps.Decided) string {
	switch {
	case !d.Unproven:
		return ""
	case s.By == "":
		return "; the run does not say who submitted it"
	}
	return "; the run says it was submitted by " + s.By + ", and nobody checked that"
}
