package executor

import (
	"os"
	"slices"
	"strings"
)

// Environ is the environment of a program that a rung starts: PATH, HOME and vars; of two of one name the later one
// counts. A variable of the worker that the rung names may be a key, so its value is added to secrets.
func Environ(vars []EnvVar, secrets *Secrets) []string {
	env := []string{}
	for _, name := range []string{"PATH", "HOME"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	for _, v := range vars {
		if !v.FromEnv {
			env = append(env, v.Name+"="+v.Value)
		} else if value, ok := os.LookupEnv(v.Name); ok {
			env = append(env, v.Name+"="+value)
			if !harmless(v.Name) {
				secrets.Add(v.Name, value)
			}
		}
	}
	return env
}

// harmless reports whether the value of a variable with this name is surely not a secret. All other variables of the
// worker that a rung names are treated as secrets.
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
