//go:build !linux

package cli

// reaping runs main and returns its exit code. Containers, whose first process has orphans, are Linux.
func reaping(main func() int) int { return main() }
