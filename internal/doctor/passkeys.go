package doctor

import (
	"context"
	"fmt"
	"slices"

	"belay/internal/passkey"
)

// passkeys looks whether anybody can approve what only a passkey approves. Which ones workers have in their files, they do not say.
func (e *examination) passkeys(ctx context.Context) []Finding {
	if e.Asks == "" || e.rig != nil {
		return nil
	}
	all, err := passkey.NewRegistry(e.Bus).List(ctx)
	if err != nil {
		return failed("passkeys", err)
	}
	n, people := 0, []string{}
	for _, k := range all {
		if k.Removed.IsZero() {
			n, people = n+1, append(people, k.Person)
		}
	}
	slices.Sort(people)
	if people = slices.Compact(people); n == 0 {
		return one("passkeys", Warn, fmt.Sprintf("%s takes no approval without a passkey (%s), and nobody has one registered: nobody can approve its calls", e.Asks, e.File),
			"approvers register theirs in the console (Passkeys); then give workers of other processes what `dispatcher passkeys export` prints (docs/passkeys.md)")
	}
	return one("passkeys", OK, fmt.Sprintf("%s takes no approval without a passkey; registered are %s of %s. Whether workers have them in their files (--passkeys) they say in their logs", e.Asks, count(n, "passkey", "passkeys"), count(len(people), "person", "people")), "")
}
