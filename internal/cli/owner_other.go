//go:build !linux

package cli

// ownerOf knows nothing here: who has a port can only be asked of the kernel.
func ownerOf(string) owner { return owner{} }
