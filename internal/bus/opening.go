package bus

import (
	"regexp"
)

// A store that is embedded belongs to one process at a time, which has it locked. So whatever is done over a connection within that
// process bears the name of its opening of the store: who finds another one's, and has the store itself now, knows that nobody of that
// process is there any more. Whoever connects from outside signs nothing, and may live.

// signed is how a name ends that was signed.
var signed = regexp.MustCompile(`@embedded-([A-Z2-7]{26})$`)

// Signed marks a random part of a name as made within the process that has the server's store, if this is one.
func (b *Bus) Signed(random string) string {
	if b.opening == "" {
		return random
	}
	return random + "@embedded-" + b.opening
}

// Outlived reports whether a name was signed by a process that had the store before this one. It is false where that cannot be known.
func (b *Bus) Outlived(name string) bool {
	if b.opening == "" {
		return false
	}
	by := signed.FindStringSubmatch(name)
	return by != nil && by[1] != b.opening
}
