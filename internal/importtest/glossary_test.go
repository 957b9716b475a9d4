package importtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// word is a part of a name that means something else here, or nothing. Only names that are declared outside tests are
// checked. ARCHITECTURE.md has the glossary.
type word struct {
	forms []string // lower case
	say   string   // what to say instead
	// after and before are parts of a name that make the word mean what it should: DeadLetter, TakeOver.
	after, before []string
	names         []string // whole names that may stay, because somebody outside depends on them
	in            []string // packages in which the word has its meaning
	why           string   // of names and in
}

var glossary = []word{
	{forms: []string{"letter", "letters"}, say: "escalation, or dead letter for a message that cannot be read", after: []string{"dead"}},
	{forms: []string{"bulk", "together"}, say: "redrive for deciding many escalations alike"},
	{forms: []string{"batch", "batches"}, say: "redrive for deciding many escalations alike", in: []string{"internal/bus"}, why: "an atomic publish of many messages is a batch"},
	{forms: []string{"told"}, say: "notified"},
	{forms: []string{"visitor", "visitors", "guest", "guests"}, say: "actor"},
	{forms: []string{"member", "members"}, say: "actor", in: []string{"internal/yamldoc", "internal/plan", "internal/text", "internal/server/pages", "internal/server", "config"},
		why: "the entries of a JSON object are its members"},
	{forms: []string{"mail", "mails"}, say: "notice, or message for what crosses NATS", in: []string{"internal/notify"}, why: "a channel that sends e-mail"},
	{forms: []string{"held"}, say: "in hand for messages, claimed for rights", in: []string{"belaytype", "internal/steps", "internal/steps/view", "internal/gates"}, why: "the state of a step of which nothing is queued until a person lets it"},
	{forms: []string{"take", "taken"}, say: "claim, take over, or take back", before: []string{"over", "back"}, names: []string{"Take", "take"}, why: "the flag --take and its parameter take over another person's claim"},
	{forms: []string{"again"}, say: "retry (the dispatcher), redeliver (JetStream) or repeat (a caller)", names: []string{"TryAgain", "exitTryAgain"}, why: "the public error, and EX_TEMPFAIL's meaning"},
}

// forbiddenTypes are names that no type may have: one type says who asks.
var forbiddenTypes = map[string]string{"Person": "Actor", "Identity": "Actor", "Visitor": "Actor", "Guest": "Actor", "Member": "Actor"}

// forbiddenPackages say nothing of what they hold, or say it in a picture.
var forbiddenPackages = map[string]string{
	"outside": "text", "herald": "notify", "toolbox": "ladder", "lease": "bus", "fleet": "bus", "web": "server",
	"util": "what it holds", "utils": "what it holds", "common": "what it holds", "helpers": "what it holds", "models": "what it holds", "misc": "what it holds",
}

func TestGlossary(t *testing.T) {
	t.Parallel()
	for _, p := range load(t) {
		if base := p.name[strings.LastIndex(p.name, "/")+1:]; forbiddenPackages[base] != "" {
			t.Errorf("package %s: call it for what is in it (%s)", p.name, forbiddenPackages[base])
		}
		for _, f := range p.files {
			for _, d := range declared(f) {
				for _, msg := range d.faults(p.name) {
					t.Errorf("%s: %s", positions.Position(d.at), msg)
				}
			}
		}
	}
}

// name is one that is declared.
type name struct {
	text   string
	at     token.Pos
	isType bool
	typ    ast.Expr // of fields, parameters and variables that say theirs
}

func (n name) faults(pkg string) (faults []string) {
	for _, w := range glossary {
		if used := w.misusedIn(n.text); used != "" && !slices.Contains(w.in, pkg) {
			faults = append(faults, n.text+`: "`+used+`" is not a word for this: say `+w.say)
		}
	}
	if instead := forbiddenTypes[n.text]; n.isType && instead != "" {
		faults = append(faults, "type "+n.text+": say "+instead)
	}
	if (n.text == "Log" || n.text == "log") && isLogger(n.typ) {
		faults = append(faults, n.text+": a log is a run's log; call a *slog.Logger logger")
	}
	return faults
}

func isLogger(typ ast.Expr) bool {
	star, is := typ.(*ast.StarExpr)
	if !is {
		return false
	}
	sel, is := star.X.(*ast.SelectorExpr)
	return is && sel.Sel.Name == "Logger"
}

// misusedIn returns the form of the word that a name has in a meaning that is not the word's.
func (w word) misusedIn(text string) string {
	if slices.Contains(w.names, text) {
		return ""
	}
	parts := split(text)
	for i, part := range parts {
		switch {
		case !slices.Contains(w.forms, part):
		case i > 0 && slices.Contains(w.after, parts[i-1]):
		case i+1 < len(parts) && slices.Contains(w.before, parts[i+1]):
		default:
			return part
		}
	}
	return ""
}

// split takes a name apart where its words begin: sendDLQLetter2 is send, dlq, letter.
func split(text string) (parts []string) {
	runes, start := []rune(text), 0
	flush := func(to int) {
		if to > start {
			parts = append(parts, strings.ToLower(string(runes[start:to])))
		}
		start = to
	}
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r):
			flush(i)
			start = i + 1
		case unicode.IsUpper(r) && (i == 0 || !unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			flush(i)
		}
	}
	flush(len(runes))
	return parts
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"letter": {"letter"}, "sendDLQLetter2": {"send", "dlq", "letter"}, "DeadLetters": {"dead", "letters"}, "max_HTTPBytes": {"max", "http", "bytes"},
		"_": nil, "ID": {"id"}, "X": {"x"},
	} {
		if got := split(text); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// declared finds what a file gives a name to.
func declared(f *ast.File) (names []name) {
	add := func(typ ast.Expr, isType bool, ids ...*ast.Ident) {
		for _, id := range ids {
			names = append(names, name{id.Name, id.Pos(), isType, typ})
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			add(nil, false, n.Name)
		case *ast.TypeSpec:
			add(nil, true, n.Name)
		case *ast.ValueSpec:
			add(n.Type, false, n.Names...)
		case *ast.Field:
			add(n.Type, false, n.Names...)
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				add(nil, false, identifiers(n.Lhs...)...)
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				add(nil, false, identifiers(n.Key, n.Value)...)
			}
		}
		return true
	})
	return names
}

func identifiers(exprs ...ast.Expr) (ids []*ast.Ident) {
	for _, e := range exprs {
		if id, is := e.(*ast.Ident); is {
			ids = append(ids, id)
		}
	}
	return ids
}
