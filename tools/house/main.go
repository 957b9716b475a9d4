// Command house measures a Go module as a house to live in: how many rooms it has and how they hang together, how long
// and how deep its functions are, what is documented, and how its tests are written. Only the module's own code counts,
// and, but for the tests' part, only what is not a test.
//
//	go -C tools run ./house [-json] [DIR]     # DIR: the module, default this repository
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "house:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	fl := flag.NewFlagSet("house", flag.ContinueOnError)
	asJSON := fl.Bool("json", false, "print JSON instead of a table")
	if err := fl.Parse(args); err != nil {
		return err
	}
	dir := ".."
	if fl.NArg() > 0 {
		dir = fl.Arg(0)
	}
	h, err := measure(dir)
	if err != nil {
		return err
	}
	if *asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(h)
	}
	return table(out, h)
}

func table(out io.Writer, h House) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(what, format string, values ...any) { fmt.Fprintf(w, what+"\t"+format+"\n", values...) }
	row("packages", "%d, %d of them internal", h.Packages, h.InternalPackages)
	row("imports among them", "%d", h.Edges)
	row("longest chain of imports", "%d, among internal packages %d", h.Depth, h.InternalDepth)
	row("", "%s", h.Chain)
	row("files", "%d, lines: median %d, p90 %d, max %d (%s)", h.Files.Count, h.Files.Median, h.Files.P90, h.Files.Max, h.Files.Longest)
	row("functions", "%d, lines: median %d, p90 %d, max %d (%s)", h.Functions.Count, h.Functions.Median, h.Functions.P90, h.Functions.Max, h.Functions.Longest)
	row("functions over 60 lines", "%d", h.FunctionsOver60)
	row("deepest nesting", "%d (%s)", h.Nesting, h.NestedMost)
	row("packages with a comment", "%s", h.PackageComments)
	row("exported names documented", "%s", h.Names)
	row("exported struct fields documented", "%s", h.Fields)
	row("tests", "%d, parallel %s", h.Tests.Of, h.Tests)
	row("examples with output", "%s", h.Examples)
	row("sleeps in tests, in real time", "%d", h.Sleeps)
	return w.Flush()
}
