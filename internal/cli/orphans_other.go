//go:build !linux

package cli

// reaping runs main and returns its exit code. Only in Linux containers does a first process inherit orphans.
func reaping(main func() int) int { return main() }
