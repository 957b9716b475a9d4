// Package manual_test executes or lints every block of the manual and of the README files. What the info string of a
// block says decides what is done with it:
//
//	text                    nothing; a drawing or words
//	output                  what the block above prints: … stands for anything in a line, a line of … for any lines
//	sh                      in a story (<!-- story --> under the title): executed; else its commands and flags are checked
//	sh exit=N               in a story: must exit with N
//	sh show                 in a story too, its commands and flags are only checked
//	yaml plan|tools         a whole document; config, notify and script (of a model) likewise
//	yaml steps|rungs|tool   a part of one, which is wrapped
//	yaml ... invalid        the parser must refuse it, with what the block output below it says
//	yaml plan|steps warns   the linter must warn, with what the block output below it says
//	go                      a file, declarations or statements: must compile
//	go plugin               an executor and its test: compiled and executed by internal/executor
//	python, js, ts          must compile; ts must be JavaScript too
//	json [NAME]             is JSON, and fits what `dispatcher schema NAME` prints
//	json wire, http         belong to a test elsewhere, which a comment above them names
//	promql                  its metrics exist
//
// In a story file=NAME writes the block into the directory of the story. A comment <!-- sh, <!-- go or <!-- file=NAME
// with lines below it is a block that readers do not see; <!-- sh: COMMANDS --> is one in a line.
package manual_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"belay/internal/cli"
	"belay/internal/cli/clitest"
	"belay/internal/cli/dispatcher"
	"belay/internal/cli/worker"
)

func TestMain(m *testing.M) {
	clitest.Main(m, map[string]func(){
		"dispatcher": func() { os.Exit(dispatcher.Run(context.Background(), os.Args[1:], cli.System())) },
		"worker":     func() { os.Exit(worker.Run(context.Background(), os.Args[1:], cli.System(), nil)) },
	})
}

// TestManual does what the blocks say. One page alone: -run TestManual/tutorial
func TestManual(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			report(t, p.problems)
			checkPage(t, p)
		})
	}
}

func report(t *testing.T, problems []problem) {
	t.Helper()
	for _, p := range problems {
		t.Error(p)
	}
}

func checkPage(t *testing.T, p *page) {
	for _, b := range p.blocks {
		t.Run(fmt.Sprintf("line %d %s", b.at, b.kind), func(t *testing.T) { report(t, checkBlock(b)) })
	}
	if p.story {
		t.Run("story", func(t *testing.T) {
			if testing.Short() {
				t.Skip("stories are executed without -short")
			}
			for _, program := range needed(p) {
				if _, err := exec.LookPath(program); err != nil {
					t.Skip(err)
				}
			}
			report(t, tell(t, p))
		})
	}
}

// others are programs that are not everywhere, where a block runs one.
var others = regexp.MustCompile(`(?:^|[\s;&|(\[])(node|python3|curl)[\s,]`)

// needed are those of others that a page runs.
func needed(p *page) (programs []string) {
	for _, b := range p.blocks {
		if b.kind != "sh" && b.kind != "yaml" {
			continue
		}
		for _, found := range others.FindAllStringSubmatch(b.text, -1) {
			programs = append(programs, found[1])
		}
	}
	return programs
}

// checkBlock does what can be done with a block alone.
func checkBlock(b *block) []problem {
	if found := misplaced(b); found != nil {
		return found
	}
	switch b.kind {
	case "text":
		return nil
	case "output":
		return nil // of the block above it
	case "sh":
		return checkShell(b)
	case "yaml":
		return checkYAML(b)
	case "go":
		return checkGo(b)
	case "python":
		return checkPython(b)
	case "js", "ts":
		return checkJavaScript(b)
	case "json":
		return checkJSON(b)
	case "http":
		return checkHTTP(b)
	case "promql":
		return checkQuery(b)
	case "":
		if !b.shown {
			return nil // only a file
		}
		return []problem{b.wrong("the block has no info string: say what it is, `text` if it is only to be read")}
	}
	return []problem{b.wrong("nobody knows how to check a block %q; see the comment of package manual_test", b.kind)}
}

// misplaced finds words in an info string that mean nothing there.
func misplaced(b *block) (found []problem) {
	if b.keys["file"] != "" && !b.page.story {
		found = append(found, b.wrong("file=%s: only a story has files; put <!-- story --> under the title", b.keys["file"]))
	}
	if b.keys["exit"] != "" && (b.kind != "sh" || !b.page.story) {
		found = append(found, b.wrong("exit=%s: only blocks of commands in a story exit", b.keys["exit"]))
	}
	for key := range b.keys {
		if key != "file" && key != "exit" {
			found = append(found, b.wrong("%s= means nothing here", key))
		}
	}
	if b.next != nil && b.next.kind == "output" && b.kind != "sh" && !b.has("invalid") && !b.has("warns") {
		found = append(found, b.next.wrong("this output belongs to no block of commands and to no invalid document"))
	}
	if (b.has("invalid") || b.has("warns")) && (b.next == nil || b.next.kind != "output") {
		found = append(found, b.wrong("an `output` block with the message must follow"))
	}
	return found
}

// expected is the output that the page shows of a block; nil where it shows none.
func (b *block) expected() *block {
	if b.next != nil && b.next.kind == "output" {
		return b.next
	}
	return nil
}
