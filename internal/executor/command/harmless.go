package command

import (
	"slices"
	"strings"
)

// harmless reports whether a variable by its name is no secret. Any other that is let through from the worker's
// environment is taken for one.
func harmless(name string) bool {
	if strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "XDG_") {
		return true
	}
	if strings.HasSuffix(name, "_HOME") || strings.HasSuffix(name, "_PATH") || strings.HasSuffix(name, "_DIR") {
		return true
	}
	return slices.Contains([]string{
		"COLORTERM", "DISPLAY", "EDITOR", "GOCACHE", "GOFLAGS", "GOMODCACHE", "GOPATH", "GOROOT", "HOME", "HOSTNAME", "LANG", "LANGUAGE",
		"LOGNAME", "NO_COLOR", "PAGER", "PATH", "PWD", "PYTHONPATH", "SHELL", "TEMP", "TERM", "TMP", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV",
	}, name)
}
