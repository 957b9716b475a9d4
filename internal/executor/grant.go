package executor

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"belay/internal/steps"
)

// Headers by which the service that a rung calls sees that people have approved exactly this call; docs/grants.md says how it checks
// that. No rung sets them itself.
const (
	Grant       = "Belay-Grant"        // the approvals, see [GrantHeader]
	GrantParams = "Belay-Grant-Params" // the parameters that were approved, where the request's body is something else
)

// maxGrantParams is how many bytes of parameters fit into a header: many servers take 8 KiB of headers in all.
const maxGrantParams = 4 << 10

// Granted are the headers of a call that people have approved; nil where nobody was asked. Without bare the parameters go in a header,
// if they fit: the body is something else.
func (r *Request) Granted(bare bool) map[string]string {
	if r.Grant == "" {
		return nil
	}
	h := map[string]string{Grant: r.Grant}
	if !bare && len(r.Params) <= maxGrantParams {
		h[GrantParams] = encodedParams(r.Params)
	}
	return h
}

func encodedParams(params json.RawMessage) string {
	return base64.RawURLEncoding.EncodeToString(params)
}

// GrantHeader shows the approvals that a call acts on to the service that it calls: what was signed, as it was signed, and what
// beside the parameters its digest is of. So whoever checks it has to write no JSON as Belay does; docs/grants.md has the format. It is
// empty for a call that nobody was asked about. The parameters are those of m, in the form of [steps.Canonical].
func GrantHeader(own *steps.Tool, m steps.StepMessage) string {
	if len(m.Grants) == 0 || m.RungName == steps.VerifyRung {
		return ""
	}
	t := steps.Tool{Name: m.Tool, Definition: own.Definition}
	if digest, err := t.CallDigest(m.Params); err != nil || digest != m.Grants[0].Digest {
		t.Definition = m.Definition // by the file of this worker nobody had to be asked
	}
	definition, err := json.Marshal(t.Definition)
	if err != nil {
		return ""
	}
	parts := []string{"v1", base64.RawURLEncoding.EncodeToString(definition)}
	for _, g := range m.Grants {
		parts = append(parts, base64.RawURLEncoding.EncodeToString(g.Statement()), base64.RawURLEncoding.EncodeToString(g.Signature))
	}
	return strings.Join(parts, ".")
}
