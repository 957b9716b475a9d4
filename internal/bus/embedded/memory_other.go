//go:build !linux

package embedded

// memoryHasRoom is false: only Linux has a file system in memory in the same place everywhere.
func memoryHasRoom() bool { return false }
