package manual_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"belay/internal/cli"
	"belay/internal/cli/dispatcher"
	"belay/internal/cli/worker"
)

// command is one simple command of a script.
type command struct {
	at         int // line of the script, from 1
	words      []string
	background bool
}

// commands splits a script into its simple commands. It knows quotes, comments, continued lines, here-documents,
// substitutions and what stands between commands; it need not know more for what a manual shows.
func commands(script string) []command {
	s := &splitter{text: script, at: 1}
	s.run("")
	return s.found
}

type splitter struct {
	text  string
	i, at int
	found []command
	now   command
	word  strings.Builder
	quote bool     // the word has a quoted part, so it is one even if it is empty
	docs  []string // ends of the here-documents that begin behind this line
}

func (s *splitter) endWord() {
	if s.word.Len() > 0 || s.quote {
		if len(s.now.words) == 0 {
			s.now.at = s.at
		}
		s.now.words = append(s.now.words, s.word.String())
	}
	s.word.Reset()
	s.quote = false
}

func (s *splitter) endCommand() {
	s.endWord()
	if len(s.now.words) > 0 {
		s.found = append(s.found, s.now)
	}
	s.now = command{}
}

// run reads until a closing bracket, or to the end.
func (s *splitter) run(until string) {
	for s.i < len(s.text) {
		c := s.text[s.i]
		if until != "" && string(c) == until {
			s.i++
			break
		}
		s.step(c)
	}
	s.endCommand()
}

func (s *splitter) step(c byte) {
	rest := s.text[s.i:]
	switch {
	case strings.HasPrefix(rest, "\\\n"):
		s.at, s.i = s.at+1, s.i+2
	case c == '\\' && len(rest) > 1:
		s.word.WriteByte(rest[1])
		s.i += 2
	case c == '\n':
		s.endCommand()
		s.at, s.i = s.at+1, s.i+1
		s.skipDocuments()
	case c == ' ' || c == '\t':
		s.endWord()
		s.i++
	case c == '#' && s.word.Len() == 0 && !s.quote:
		s.i += len(rest[:indexOr(rest, "\n")])
	case c == '\'' || c == '"':
		s.quoted(c)
	case strings.HasPrefix(rest, "$("), strings.HasPrefix(rest, "<("):
		s.i += 2
		s.inside(")")
	case strings.HasPrefix(rest, "<<"):
		s.hereDocument(rest)
	case strings.HasPrefix(rest, "2>&1"), strings.HasPrefix(rest, ">&2"):
		s.endWord()
		s.i += indexOr(rest, " \n;|)")
	default:
		s.operator(c, rest)
	}
}

func (s *splitter) operator(c byte, rest string) {
	switch {
	case strings.HasPrefix(rest, "&&"), strings.HasPrefix(rest, "||"):
		s.endCommand()
		s.i += 2
	case c == '&':
		s.endWord()
		s.now.background = true
		s.endCommand()
		s.i++
	case c == '|' || c == ';' || c == '(' || c == ')':
		s.endCommand()
		s.i++
	case c == '>' || c == '<': // the file that follows is no argument
		s.endWord()
		s.i++
		for s.i < len(s.text) && (s.text[s.i] == '>' || s.text[s.i] == ' ') {
			s.i++
		}
		s.i += indexOr(s.text[s.i:], " \n;|)&")
	default:
		s.word.WriteByte(c)
		s.i++
	}
}

// inside reads commands in the middle of a word.
func (s *splitter) inside(until string) {
	now, word, quote := s.now, s.word.String(), s.quote
	s.now, s.quote = command{}, false
	s.word.Reset()
	s.run(until)
	s.now, s.quote = now, quote
	s.word.WriteString(word + "x") // in place of what they print
}

func (s *splitter) quoted(mark byte) {
	s.quote = true
	for s.i++; s.i < len(s.text) && s.text[s.i] != mark; {
		switch rest := s.text[s.i:]; {
		case mark == '"' && strings.HasPrefix(rest, "$("):
			s.i += 2
			s.inside(")")
			continue
		case mark == '"' && rest[0] == '\\' && len(rest) > 1:
			s.i++
		case rest[0] == '\n':
			s.at++
		}
		s.word.WriteByte(s.text[s.i])
		s.i++
	}
	s.i++
}

func (s *splitter) hereDocument(rest string) {
	s.endWord()
	name := strings.TrimLeft(rest, "<- ")
	name = name[:indexOr(name, " \n;|)&>")]
	s.i += strings.Index(rest, name) + len(name)
	s.docs = append(s.docs, strings.Trim(name, `'"`))
}

func (s *splitter) skipDocuments() {
	for _, end := range s.docs {
		for s.i < len(s.text) {
			line := s.text[s.i : s.i+indexOr(s.text[s.i:], "\n")]
			s.i = min(s.i+len(line)+1, len(s.text))
			s.at++
			if strings.TrimSpace(line) == end {
				break
			}
		}
	}
	s.docs = nil
}

// indexOr is where one of the characters is first, or the length of the text.
func indexOr(text, chars string) int {
	if i := strings.IndexAny(text, chars); i >= 0 {
		return i
	}
	return len(text)
}

func checkShell(b *block) (found []problem) {
	check := exec.Command("bash", "-n")
	check.Stdin = strings.NewReader(b.text)
	if out, err := check.CombinedOutput(); err != nil {
		return []problem{b.wrong("bash cannot read this: %s", strings.TrimSpace(string(out)))}
	}
	for _, c := range commands(b.text) {
		if err := checkCommand(c.words); err != nil {
			found = append(found, b.wrongAt(c.at, "`%s`: %v", strings.Join(c.words, " "), err))
		}
	}
	return found
}

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// checkCommand checks a command of this project: its name, its flags, and how many arguments it has.
func checkCommand(words []string) error {
	for len(words) > 0 && (assignment.MatchString(words[0]) || slices.Contains([]string{"sudo", "time", "exec", "nohup", "if", "while", "until", "then", "do", "else", "!", "{"}, words[0])) {
		words = words[1:]
	}
	if len(words) > 2 && words[0] == "timeout" {
		words = words[2:]
	}
	if len(words) == 0 {
		return nil
	}
	switch words[0] {
	case "go":
		return checkGoCommand(words[1:])
	case "dispatcher":
		return checkProgram(dispatcher.Root(cli.IO{}), words[1:])
	case "worker":
		return checkProgram(worker.Root(cli.IO{}), words[1:])
	}
	return nil
}

func checkProgram(program *cobra.Command, args []string) error {
	program.InitDefaultHelpCmd()
	c, rest, err := program.Find(args)
	if err != nil {
		return err
	}
	if c.Name() == "help" {
		if found, _, err := program.Find(rest); err != nil || len(rest) > 0 && found == program {
			return fmt.Errorf("there is no help about %q", strings.Join(rest, " "))
		}
		return nil
	}
	c.InitDefaultHelpFlag()
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if help, err := c.Flags().GetBool("help"); err == nil && help {
		return nil
	}
	if len(args) == 0 {
		return nil // a program's name alone
	}
	if onlyNoun(c) {
		return fmt.Errorf("%s needs a command", c.CommandPath())
	}
	return c.ValidateArgs(c.Flags().Args())
}

// checkGoCommand checks that what is run, built or tested is there.
func checkGoCommand(args []string) error {
	dir := root
	if len(args) > 2 && args[0] == "-C" {
		dir, args = filepath.Join(root, args[1]), args[2:]
	}
	run := ""
	for i, a := range args {
		if a == "-run" && i+1 < len(args) {
			run = args[i+1]
		}
	}
	var dirs []string
	for _, a := range args {
		if !strings.HasPrefix(a, "./") {
			continue
		}
		path := filepath.Join(dir, strings.TrimSuffix(a, "..."))
		if _, err := os.Stat(path); err != nil {
			return err
		}
		if dirs = append(dirs, path); run != "" && !testMatches(run, path) {
			return fmt.Errorf("no test in %s matches %s", a, run)
		}
	}
	for _, one := range alternatives(run) {
		if len(dirs) > 0 && !testMatches(one, dirs...) {
			return fmt.Errorf("no test matches %s", one)
		}
	}
	return nil
}

// alternatives are what stands between the bars of a pattern that are in no parentheses; none of an empty one.
func alternatives(pattern string) (list []string) {
	depth, from := 0, 0
	for i, c := range pattern {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '|' && depth == 0:
			list, from = append(list, pattern[from:i]), i+1
		}
	}
	if pattern == "" {
		return nil
	}
	return append(list, pattern[from:])
}

var testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)

// testMatches reports whether a pattern matches a test in one of the folders.
func testMatches(pattern string, dirs ...string) bool {
	for _, one := range alternatives(pattern) {
		one, _, _ = strings.Cut(one, "/")
		match, err := regexp.Compile(one)
		if err == nil && slices.ContainsFunc(dirs, func(dir string) bool { return hasTest(dir, match) }) {
			return true
		}
	}
	return false
}

func hasTest(dir string, name *regexp.Regexp) bool {
	files, _ := filepath.Glob(filepath.Join(dir, "*_test.go")) // the pattern is valid
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, m := range testFunction.FindAllStringSubmatch(string(text), -1) {
			if name.MatchString(m[1]) {
				return true
			}
		}
	}
	return false
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// checkSpans checks the commands and flags that stand in the text between backquotes.
func checkSpans(p *page) (found []problem) {
	for _, l := range p.prose {
		for _, m := range codeSpan.FindAllStringSubmatch(l.text, -1) {
			if err := checkSpan(m[1]); err != nil {
				found = append(found, problem{p, l.at, fmt.Sprintf("`%s`: %v", m[1], err)})
			}
		}
	}
	return found
}

var (
	programSpan = regexp.MustCompile(`^(?:go run \./cmd/)?(dispatcher|worker) [-a-z]`)
	testSpan    = regexp.MustCompile(`^(?:go (?:-C \S+ )?test |(?:-tags \S+ )?\./\S+ (?:\S+ )*-run )`) // whole, or as it stands in a column of such commands
	flagSpan    = regexp.MustCompile(`^--([a-z][a-z-]*)`)
	notReal     = regexp.MustCompile(`…|\.\.\.|\||\[|<`) // such a span is a pattern, not a command
)

func checkSpan(span string) error {
	switch {
	case testSpan.MatchString(span):
		for _, c := range commands(strings.TrimPrefix(strings.ReplaceAll(span, `\|`, "|"), "go ")) {
			if err := checkGoCommand(c.words); err != nil {
				return err
			}
		}
	case notReal.MatchString(span):
		return nil
	case programSpan.MatchString(span):
		for _, c := range commands(strings.TrimPrefix(span, "go run ./cmd/")) {
			if err := checkCommand(c.words); err != nil && !errors.Is(err, errArguments(err)) {
				return err
			}
		}
	case flagSpan.MatchString(span):
		if name := flagSpan.FindStringSubmatch(span)[1]; !flagNames()[name] && !slices.Contains(foreignFlags, name) {
			return errors.New("neither program has such a flag")
		}
	}
	return nil
}

// errArguments gives the error itself if it is about the number of arguments: in a sentence they may be left out.
func errArguments(err error) error {
	for _, start := range []string{"accepts ", "requires ", "flag needs an argument"} {
		if strings.HasPrefix(err.Error(), start) {
			return err
		}
	}
	if strings.HasSuffix(err.Error(), " needs a command") {
		return err
	}
	return nil
}

// foreignFlags are flags of other programs that the text names.
var foreignFlags = []string{
	"cap-add", // docker
}

// flagNames are the flags of both programs.
func flagNames() map[string]bool {
	all := map[string]bool{"help": true, "version": true}
	var add func(c *cobra.Command)
	add = func(c *cobra.Command) {
		for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) { all[f.Name] = true })
		}
		for _, sub := range c.Commands() {
			add(sub)
		}
	}
	add(dispatcher.Root(cli.IO{}))
	add(worker.Root(cli.IO{}))
	return all
}
