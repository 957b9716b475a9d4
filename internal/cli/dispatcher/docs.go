package dispatcher

import (
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/manual"
	"belay/internal/yamldoc"
)

func (a *app) docsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "docs [PAGE]", Short: "Print the manual: its list of pages, or one of them", Args: cobra.MaximumNArgs(1),
		Long: "Prints the list of the manual's pages, or a page of it, as Markdown. With a browser it is read at /docs of every program\n" +
			"that has --listen.",
		Example: "  dispatcher docs\n  dispatcher docs tutorial | less",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listDocs()
			}
			return a.printDoc(args[0])
		},
	}
}

type docRow struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Sentence string `json:"sentence"`
	Text     string `json:"text,omitempty"`
}

func (a *app) listDocs() error {
	rows, lines := []docRow{}, [][]any{}
	for _, p := range manual.Pages() {
		rows = append(rows, docRow{Name: p.Name, Title: p.Title, Sentence: p.Sentence})
		for i, part := range wrapped(p.Sentence, docWidth) {
			if i == 0 {
				lines = append(lines, []any{p.Name, part})
			} else {
				lines = append(lines, []any{"", part})
			}
		}
	}
	if a.JSON() {
		return a.PrintJSON(rows)
	}
	return a.Table([]any{"PAGE", "WHAT IT IS ABOUT"}, lines)
}

// docWidth is how wide the sentences of the list are at most.
const docWidth = 90

// wrapped is a sentence as lines of at most n characters, where its words are not longer.
func wrapped(sentence string, n int) (lines []string) {
	for _, word := range strings.Fields(sentence) {
		if last := len(lines) - 1; last >= 0 && utf8.RuneCountInString(lines[last])+1+utf8.RuneCountInString(word) <= n {
			lines[last] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	return lines
}

func (a *app) printDoc(name string) error {
	p := manual.Find(name)
	if p == nil {
		names := []string{}
		for _, p := range manual.Pages() {
			names = append(names, p.Name)
		}
		return cli.WithCode(cli.ExitUsage, errors.New("there is no page "+name+" in the manual: "+yamldoc.OneOf(name, names)))
	}
	if a.JSON() {
		return a.PrintJSON(docRow{p.Name, p.Title, p.Sentence, p.Text})
	}
	_, err := io.WriteString(a.Out, p.Text)
	return err
}
