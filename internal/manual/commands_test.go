package manual_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/cli/dispatcher"
	"belay/internal/cli/worker"
)

// exits are the exit codes of commands besides those that every command may have: 0, 1, 64, 78 and 130.
var exits = map[string][]int{
	"dispatcher audit export":        {69, 75},
	"dispatcher audit ls":            {69, 75},
	"dispatcher audit verify":        {65, 66, 69, 75},
	"dispatcher bench":               {69},
	"dispatcher config view":         {},
	"dispatcher conformance worker":  {65, 66, 75},
	"dispatcher dev":                 {65, 66, 75},
	"dispatcher docs":                {},
	"dispatcher esc assign":          {66, 69, 75, 77},
	"dispatcher esc claim":           {66, 69, 75, 77},
	"dispatcher esc decide":          {69, 75, 77},
	"dispatcher esc drain":           {69, 75, 77},
	"dispatcher esc ls":              {69, 75},
	"dispatcher esc note":            {65, 66, 69, 75, 77},
	"dispatcher esc redrive":         {65, 69, 75, 77},
	"dispatcher esc release":         {66, 69, 75, 77},
	"dispatcher esc show":            {66, 69, 75},
	"dispatcher esc snooze":          {66, 69, 75, 77},
	"dispatcher exit-codes":          {},
	"dispatcher fault add":           {65, 69, 75},
	"dispatcher fault ls":            {69, 75},
	"dispatcher fault rm":            {66, 69, 75},
	"dispatcher gate close":          {65, 66, 69, 75, 77},
	"dispatcher breakers":            {69, 75},
	"dispatcher limits ls":           {69, 75},
	"dispatcher limits show":         {66, 69, 75},
	"dispatcher slo":                 {69, 75},
	"dispatcher causes":              {69, 75},
	"dispatcher gate ls":             {69, 75},
	"dispatcher gate open":           {66, 69, 75, 77},
	"dispatcher gate show":           {66, 69, 75},
	"dispatcher keys export":         {69, 75},
	"dispatcher keys ls":             {69, 75},
	"dispatcher keys revoke":         {66, 69, 75},
	"dispatcher keys vouch":          {66, 69, 75},
	"dispatcher keys rotate":         {66, 69, 75},
	"dispatcher passkeys export":     {69, 75},
	"dispatcher passkeys ls":         {69, 75},
	"dispatcher passkeys rm":         {66, 69, 75},
	"dispatcher lint":                {65, 66},
	"dispatcher drill":               {1, 65, 66},
	"dispatcher rehearse":            {1, 65, 66, 69},
	"dispatcher mcp":                 {65, 66, 69, 75},
	"dispatcher notify test":         {65, 66, 69},
	"dispatcher permissions":         {65, 66},
	"dispatcher prove":               {65, 66, 69},
	"dispatcher run":                 {10, 11, 12, 65, 66, 69, 75},
	"dispatcher runs cancel":         {66, 69, 75},
	"dispatcher runs steer":          {65, 66, 69, 75},
	"dispatcher store accept":        {69, 75, 77},
	"dispatcher store check":         {1, 69, 75},
	"dispatcher store restored":      {69, 75},
	"dispatcher doctor":              {1, 66, 69, 75},
	"dispatcher runs export":         {66, 69, 75},
	"dispatcher runs archive":        {69, 75, 77},
	"dispatcher runs archive show":   {65, 66},
	"dispatcher runs archive verify": {65},
	"dispatcher runs ls":             {69, 75},
	"dispatcher runs retry":          {10, 11, 12, 65, 66, 69, 75},
	"dispatcher runs migrate":        {10, 11, 12, 65, 66, 69, 75},
	"dispatcher runs replay":         {10, 11, 12, 65, 66, 69, 75},
	"dispatcher runs show":           {66, 69, 75},
	"dispatcher runs watch":          {10, 11, 12, 66, 69, 75},
	"dispatcher runs why":            {66, 69, 75},
	"dispatcher schedules add":       {65, 66, 69, 75, 77},
	"dispatcher schedules fire":      {66, 69, 75, 77},
	"dispatcher schedules ls":        {69, 75},
	"dispatcher schedules pause":     {66, 69, 75, 77},
	"dispatcher schedules resume":    {66, 69, 75, 77},
	"dispatcher schedules rm":        {66, 69, 75, 77},
	"dispatcher schedules show":      {66, 69, 75},
	"dispatcher schema":              {},
	"dispatcher serve":               {65, 66, 69, 75},
	"dispatcher token create":        {69, 75},
	"dispatcher token ls":            {69, 75},
	"dispatcher token revoke":        {66, 69, 75},
	"dispatcher tools call":          {65, 66},
	"dispatcher tools import mcp":    {65, 69},
	"dispatcher tools ls":            {65, 66},
	"dispatcher version":             {},
	"dispatcher man":                 {},
	"dispatcher workers ls":          {69, 75},
	"worker":                         {65, 66, 69, 75},
	"worker config view":             {},
	"worker exit-codes":              {},
	"worker version":                 {},
	"worker man":                     {},
}

const commandsHead = `# Commands

Every command of the two programs, with its flags, their variables in the environment, exit codes and an example.

` + "`dispatcher`" + ` submits plans, moves their runs on, and lets people watch and decide. ` + "`worker`" + ` executes the steps of the tools in a tools file. This page
is made from the programs; ` + "`--help`" + ` says the same.

- Every flag can be given as a variable in the environment: ` + "`BELAY_` and its name in upper case, with `_` for `-`" + `. Those of
  [all commands](#flags-of-all-commands) and of ` + "`serve`, `dev` and `worker`" + ` can stand in a [settings file](configuration.md).
- Data goes to stdout, everything else (progress, logs, errors) to stderr. With ` + "`-o json`" + ` stdout is JSON and errors are objects with a code.
- Commands find a server that ` + "`dev` or `serve`" + ` has started on this machine by themselves; otherwise name one with ` + "`--server` or `--context`" + `.

`

// commandsPage is docs/cli.md.
func commandsPage(t *testing.T) string {
	page := &strings.Builder{}
	page.WriteString(commandsHead)
	exitCodes(page)
	seen := map[string]bool{}
	roots := []*cobra.Command{dispatcher.Root(cli.IO{}), worker.Root(cli.IO{})}
	page.WriteString("## Flags of all commands\n\n")
	rows := [][]string{}
	roots[0].PersistentFlags().SortFlags = false
	for _, f := range persistent(roots[0]) {
		rows = append(rows, []string{namesOf(f) + ", " + variables(f), defaultOf(f), meaning(t, f)})
	}
	table(page, []string{"flag, variable", "default", ""}, rows)
	for _, root := range roots {
		fmt.Fprintf(page, "## %s\n\n", root.Name())
		describe(t, page, root, seen)
	}
	for path := range exits {
		if !seen[path] {
			t.Errorf("exits has %q, and there is no such command", path)
		}
	}
	return strings.TrimRight(page.String(), "\n") + "\n"
}

var exitLine = regexp.MustCompile(`(?m)^  (\d+) +(.*(?:\n {7,}.*)*)`)

func exitCodes(page *strings.Builder) {
	help, _ := run("help", "exit-codes") // it cannot fail
	rows := [][]string{}
	for _, m := range exitLine.FindAllStringSubmatch(help, -1) {
		rows = append(rows, []string{m[1], literal(m[2])})
	}
	page.WriteString("## Exit codes\n\nScripts can rely on them. Every command may exit with 0, 1, 64, 78 or 130; and one that asks NATS with 77, where its user there may not do that; which others are possible stands with each.\n\n")
	table(page, []string{"code", "means"}, rows)
}

// describe writes a command, then those below it.
func describe(t *testing.T, page *strings.Builder, c *cobra.Command, seen map[string]bool) {
	path := c.CommandPath()
	if c.HasParent() {
		fmt.Fprintf(page, "### %s\n\n", path)
	}
	page.WriteString(sentences(c) + "\n\n")
	if c.Runnable() && !onlyNoun(c) || c.Name() == "exit-codes" {
		leaf(t, page, c)
		seen[path] = true
	} else if c.Example != "" && c.HasParent() {
		example(page, c)
	}
	for _, sub := range c.Commands() {
		if !sub.Hidden && sub.Name() != "help" && sub.Name() != "completion" {
			describe(t, page, sub, seen)
		}
	}
}

// onlyNoun reports whether a command does nothing without a verb.
func onlyNoun(c *cobra.Command) bool {
	return c.HasParent() && c.HasSubCommands() && !c.HasAvailableLocalFlags()
}

// sentences are what a command says of itself, as paragraphs.
func sentences(c *cobra.Command) string {
	long := c.Long
	if c.Name() == "exit-codes" { // it stands above
		long = ""
	}
	if long == "" {
		return literal(c.Short) + "."
	}
	var paragraphs []string
	for part := range strings.SplitSeq(long, "\n\n") {
		if strings.HasPrefix(part, "  ") || strings.Contains(part, "\n  ") { // a list or a drawing
			paragraphs = append(paragraphs, "```text\n"+part+"\n```")
			continue
		}
		paragraphs = append(paragraphs, literalButCode(strings.Join(strings.Fields(part), " ")))
	}
	return strings.Join(paragraphs, "\n\n")
}

// literalButCode is literal, but for what stands between backquotes.
func literalButCode(text string) string {
	parts := strings.Split(text, "`")
	for i := range parts {
		if i%2 == 0 {
			parts[i] = literal(parts[i])
		}
	}
	return strings.Join(parts, "`")
}

func leaf(t *testing.T, page *strings.Builder, c *cobra.Command) {
	path := c.CommandPath()
	use := strings.TrimSuffix(c.UseLine(), " [flags]")
	if len(flagsOf(c)) > 0 {
		use += " [flags]"
	}
	fmt.Fprintf(page, "```text\n%s\n```\n\n", use)
	rows := [][]string{}
	for _, f := range flagsOf(c) {
		if f.Name != "version" {
			rows = append(rows, []string{namesOf(f) + ", " + variables(f), defaultOf(f), meaning(t, f)})
		}
	}
	if len(rows) > 0 {
		table(page, []string{"flag, variable", "default", ""}, rows)
	}
	if c.Example == "" && c.Name() != "version" && c.Name() != "exit-codes" {
		t.Errorf("%s has no example", path)
	}
	example(page, c)
	codes, known := exits[path]
	if !known {
		t.Errorf("exits does not say which exit codes %s has", path)
	}
	if len(codes) > 0 {
		texts := []string{}
		for _, n := range slices.Sorted(slices.Values(codes)) {
			texts = append(texts, fmt.Sprint(n))
		}
		fmt.Fprintf(page, "Exit codes: 0, %s and [those of all commands](#exit-codes).\n\n", strings.Join(texts, ", "))
	}
}

func example(page *strings.Builder, c *cobra.Command) {
	if c.Example == "" {
		return
	}
	page.WriteString("```sh\n")
	for l := range strings.SplitSeq(c.Example, "\n") {
		page.WriteString(strings.TrimPrefix(l, "  ") + "\n")
	}
	page.WriteString("```\n\n")
}
