package main

import (
	"bytes"
	"fmt"
	"go/format"
	"go/parser"
	"go/scanner"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/mod/modfile"
)

// renamer changes texts and remembers what it changed.
type renamer struct {
	from, to string
	folders  map[string]bool // that hold Go files, and those above them
	written  []*regexp.Regexp

	modules  []string // go.mod and go.work files
	goFiles  int      // with imports of the module
	imports  int
	mentions []string // the other places, as file:line
}

// written are the ways in which a text names the module alone, where a word of the same spelling could not stand. The
// first group is the path.
var written = []string{
	`(?m)^\s*(?://\s*)?(?:import\s+)?(?:[\w.]+\s+)?"(%s)(?:/[^"\s]*)?"\s*$`, // an import in an example, also of a package that is only there
	"(?m)\\b(?:require|replace|module|go get|go install|go list|go doc|go run)\\s+(%s)(?:[\\s@=`\"']|$)",
	`-(?:replace|require|dropreplace|droprequire)[= ](%s)(?:[\s@=]|$)`,
	`\b(%s)@(?:latest|v\d)`,
	`pkg\.go\.dev/(%s)\b`,
	`prefix\((%s)\)`, // gci's order of imports
	`(?m)(?:local-prefixes|module-path):\s*(%s)\s*(#.*)?$`, // goimports and gofumpt
}

func newRenamer(from, to string, files []string) *renamer {
	r := &renamer{from: from, to: to, folders: map[string]bool{}}
	for _, name := range files {
		if strings.HasSuffix(name, ".go") {
			for d := path.Dir(name); d != "."; d = path.Dir(d) {
				r.folders[d] = true
			}
		}
	}
	for _, w := range written {
		r.written = append(r.written, regexp.MustCompile(fmt.Sprintf(w, regexp.QuoteMeta(from))))
	}
	return r
}

// edit is a place where the old path stands: text[at:at+len(from)].
type edit struct {
	at       int
	isImport bool
}

// file returns the renamed text, or nil if nothing in it changes.
func (r *renamer) file(name string, text []byte) ([]byte, error) {
	base := path.Base(name)
	switch {
	case base == "go.mod" || base == "go.work":
		return r.moduleFile(name, text)
	case base == "go.sum" || base == "go.work.sum" || bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text):
		return nil, nil
	}
	if strings.HasSuffix(name, ".go") {
		return r.goFile(name, text)
	}
	return r.apply(name, text, slices.Concat(r.writtenIn(text), r.packagesIn(text))), nil
}

func (r *renamer) goFile(name string, text []byte) ([]byte, error) {
	edits, err := r.imported(name, text)
	if err != nil {
		return nil, err
	}
	edits = slices.Concat(edits, r.writtenIn(prose(text)), r.packagesIn(text)) // of two at one place the import counts
	if renamed := r.apply(name, text, edits); renamed != nil {
		return format.Source(renamed) // sorts the imports
	}
	return nil, nil
}

// apply returns nil if there is nothing to do.
func (r *renamer) apply(name string, text []byte, edits []edit) []byte {
	if len(edits) == 0 {
		return nil
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return a.at - b.at })
	edits = slices.CompactFunc(edits, func(a, b edit) bool { return a.at == b.at })
	var out []byte
	last, imports := 0, 0
	for _, e := range edits {
		out = append(append(out, text[last:e.at]...), r.to...)
		last = e.at + len(r.from)
		if e.isImport {
			imports++
			continue
		}
		r.mentions = append(r.mentions, fmt.Sprintf("%s:%d", name, 1+bytes.Count(text[:e.at], []byte("\n"))))
	}
	if imports > 0 {
		r.goFiles++
		r.imports += imports
	}
	return append(out, text[last:]...)
}

// moduleFile renames the module and what requires or replaces it.
func (r *renamer) moduleFile(name string, text []byte) ([]byte, error) {
	syntax, err := parseModuleFile(name, text)
	if err != nil {
		return nil, err
	}
	changed := false
	line := func(l *modfile.Line) {
		for i, word := range l.Token {
			if below, is := strings.CutPrefix(word, r.from); is && (below == "" || below[0] == '/') {
				l.Token[i], changed = r.to+below, true
			}
		}
	}
	for _, s := range syntax.Stmt {
		switch s := s.(type) {
		case *modfile.Line:
			line(s)
		case *modfile.LineBlock:
			for _, l := range s.Line {
				line(l)
			}
		}
	}
	if !changed {
		return nil, nil
	}
	r.modules = append(r.modules, name)
	return modfile.Format(syntax), nil
}

func parseModuleFile(name string, text []byte) (*modfile.FileSyntax, error) {
	if path.Base(name) == "go.work" {
		f, err := modfile.ParseWork(name, text, nil)
		if err != nil {
			return nil, err
		}
		return f.Syntax, nil
	}
	f, err := modfile.Parse(name, text, nil)
	if err != nil {
		return nil, err
	}
	return f.Syntax, nil
}

// imported finds the module's packages among a file's imports.
func (r *renamer) imported(name string, text []byte) (edits []edit, err error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, text, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	for _, spec := range f.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if below, is := strings.CutPrefix(imp, r.from); is && (below == "" || below[0] == '/') {
			edits = append(edits, edit{fset.Position(spec.Path.Pos()).Offset + 1, true})
		}
	}
	return edits, nil
}

// prose blanks all of a Go file but its comments and its texts of many lines: `return "belay"` imports nothing.
func prose(text []byte) []byte {
	out := bytes.Repeat([]byte(" "), len(text))
	var sc scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(text))
	sc.Init(file, text, nil, scanner.ScanComments)
	for {
		pos, tok, lit := sc.Scan()
		switch {
		case tok == token.EOF:
			return out
		case tok == token.COMMENT, tok == token.STRING && lit[0] == '`':
			at := file.Offset(pos)
			copy(out[at:], text[at:at+len(lit)])
			if end := at + len(lit); end < len(text) && text[end] == '\n' {
				out[end] = '\n'
			}
		}
	}
}

// writtenIn finds the path of the module alone, as it is written to import or require it.
func (r *renamer) writtenIn(text []byte) (edits []edit) {
	for _, w := range r.written {
		for _, m := range w.FindAllSubmatchIndex(text, -1) {
			edits = append(edits, edit{at: m[2]})
		}
	}
	return edits
}

// packagesIn finds the paths of packages that are there.
func (r *renamer) packagesIn(text []byte) (edits []edit) {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(r.from+"/"))
		if i < 0 {
			return edits
		}
		i += at
		at = i + len(r.from) + 1
		if (i == 0 || !isPath(text[i-1])) && r.isPackage(text[at:]) {
			edits = append(edits, edit{at: i})
		}
	}
}

func isPath(b byte) bool {
	return b == '_' || b == '.' || b == '/' || b == '~' || b == '-' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

// isPackage says whether a text begins with the path of a package below the module, with a pattern of such paths
// (internal/...), or with a name in a package (internal/cli.Version).
func (r *renamer) isPackage(text []byte) bool {
	end := bytes.IndexFunc(text, func(c rune) bool { return c > 127 || !isPath(byte(c)) })
	if end < 0 {
		end = len(text)
	}
	rest := string(text[:end])
	if below, is := strings.CutSuffix(rest, "..."); is {
		below = strings.TrimSuffix(below, "/")
		return below == "" || r.folders[below]
	}
	rest = strings.TrimRight(rest, "./") // the end of a sentence
	if r.folders[rest] {
		return true
	}
	dir, base := path.Split(rest)
	base, name, _ := strings.Cut(base, ".")
	exported := name != "" && 'A' <= name[0] && name[0] <= 'Z'
	assigned := name != "" && end < len(text) && text[end] == '=' // -ldflags -X
	return (exported || assigned) && r.folders[dir+base]
}
