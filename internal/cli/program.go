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

// startedAs is how a program was started, so that hints can be typed as they stand: by its name, or, for whoever has
// nothing but the source, by `go run`.
func startedAs(argv0, executable, mainPackage string) string {
	for part := range strings.SplitSeq(filepath.ToSlash(filepath.Dir(executable)), "/") {
		if strings.HasPrefix(part, "go-build") && mainPackage != "" {
			return "go run " + mainPackage
		}
	}
	return cmp.Or(strings.TrimSuffix(filepath.Base(argv0), ".exe"), "dispatcher")
}

// thisProgram is how this process was started.
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

// commandLine finds the commands in what is said. The text is the program's own: nothing from outside is looked through
// but what an error quotes.
var commandLine = regexp.MustCompile(`(?:go run [^ ]*/)?\b(dispatcher|worker)( (?:run|runs|esc|dev|serve|token|keys|audit|tools|workers|lint|bench|notify|schema|config|help|version|--tools|--server|--trust)\b)`)

// named writes the commands in a text as they can be typed here.
func (a *app) named(text string) string {
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

// nameOf is how the dispatcher or the worker is started: this one as it was, the other one, where both are run from
// source, from beside it.
func (a *app) nameOf(name string) string {
	if name == a.kind {
		return a.Program
	}
	if beside, is := strings.CutSuffix(a.Program, "/cmd/"+a.kind); is {
		return beside + "/cmd/" + name
	}
	return name
}

// name lets help speak of the program as it was started.
func (a *app) name(c *cobra.Command) {
	switch {
	case !c.HasParent():
		c.SetUsageTemplate(strings.Replace(c.UsageTemplate(), "{{if .Runnable}}", `{{if and .Runnable (not (index .Annotations "noun"))}}`, 1))
		c.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: cmp.Or(a.Program, c.Name())}
	case c.HasSubCommands(): // alone it does nothing but say so
		c.Annotations = map[string]string{"noun": "yes"}
	}
	c.Short, c.Long, c.Example = a.named(c.Short), a.named(c.Long), a.named(c.Example)
	rename := func(f *pflag.Flag) { f.Usage = a.named(f.Usage) }
	c.Flags().VisitAll(rename)
	c.PersistentFlags().VisitAll(rename)
	for _, sub := range c.Commands() {
		a.name(sub)
	}
}

// flags are those that another command needs to find the same store.
func (a *app) flags() string {
	text := ""
	for _, f := range []struct{ name, value string }{{"data-dir", a.dataDir}, {"server", a.conn.Server}, {"context", a.conn.Context}, {"prefix", a.given["prefix"]}} {
		if f.value != "" && a.given[f.name] != "" {
			text += " --" + f.name + " " + f.value
		}
	}
	return text
}
