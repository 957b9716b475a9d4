package cli

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// startedAs says how a program was started, so that hints can be typed as they stand: by its name, or by `go run`.
func startedAs(argv0, executable, mainPackage string) string {
	for part := range strings.SplitSeq(filepath.ToSlash(filepath.Dir(executable)), "/") {
		if strings.HasPrefix(part, "go-build") && mainPackage != "" {
			return "go run " + mainPackage
		}
	}
	return cmp.Or(strings.TrimSuffix(filepath.Base(argv0), ".exe"), "dispatcher")
}

// thisProgram says how this process was started.
func thisProgram() string {
	executable, err := os.Executable()
	if err != nil {
		executable = os.Args[0]
	}
	main := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		main = info.Path
		if local := "./" + strings.TrimPrefix(main, info.Main.Path+"/"); isDir(local) {
			main = local
		}
	}
	return startedAs(os.Args[0], executable, main)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// commandLine finds commands in the program's own texts. It sees text from outside only where an error quotes it.
var commandLine = regexp.MustCompile(`(?:go run [^ ]*/)?\b(dispatcher|worker)( (?:run|runs|esc|dev|serve|mcp|token|keys|passkeys|audit|permissions|store|doctor|schedules|gate|breakers|limits|slo|causes|tools|workers|lint|prove|drill|rehearse|fault|conformance|bench|notify|schema|config|help|version|docs|man|completion|scripted-model|--tools|--server|--trust)\b)`)

// Named rewrites the commands in a text so that they can be typed here.
func (a *App) Named(text string) string {
	if a.Program == "" || a.Program == a.kind {
		return text
	}
	return commandLine.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasPrefix(found, "go run ") {
			return found
		}
		name, rest, _ := strings.Cut(found, " ")
		return a.nameOf(name) + " " + rest
	})
}

// nameOf says how to start the dispatcher or the worker: this one as it was started, the other one likewise if both run
// from source.
func (a *App) nameOf(name string) string {
	if name == a.kind {
		return a.Program
	}
	if beside, is := strings.CutSuffix(a.Program, "/cmd/"+a.kind); is {
		return beside + "/cmd/" + name
	}
	return name
}

// name rewrites the commands in all help texts so that they can be typed here.
func (a *App) name(c *cobra.Command) {
	switch {
	case !c.HasParent():
		c.SetUsageTemplate(strings.Replace(c.UsageTemplate(), "{{if .Runnable}}", `{{if and .Runnable (not (index .Annotations "noun"))}}`, 1))
		c.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: cmp.Or(a.Program, c.Name())}
	case c.HasSubCommands(): // without a verb it only fails
		c.Annotations = map[string]string{"noun": "yes"}
	}
	c.Short, c.Long, c.Example = a.Named(c.Short), a.Named(c.Long), a.Named(c.Example)
	rename := func(f *pflag.Flag) { f.Usage = a.Named(f.Usage) }
	c.Flags().VisitAll(rename)
	c.PersistentFlags().VisitAll(rename)
	for _, sub := range c.Commands() {
		a.name(sub)
	}
}

// Flags are the flags that a hint must repeat, so that its command finds the same store. Whoever types it knows the user and password.
func (a *App) Flags() string {
	text := ""
	for _, f := range []struct{ name, value string }{{"data-dir", a.DataDir}, {"server", WithoutUsers(a.Conn.Server)}, {"context", a.Conn.Context}, {"prefix", a.given["prefix"]}} {
		if f.value != "" && a.given[f.name] != "" {
			text += " --" + f.name + " " + f.value
		}
	}
	return text
}
