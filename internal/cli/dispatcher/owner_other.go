//go:build !linux

package dispatcher

// ownerOf knows nothing on this system.
func ownerOf(string) owner { return owner{} }
