package importtest

import (
	"go/ast"
	"go/types"
	"strings"
	"testing"
)

// dialers connect to what they name for themselves: to NATS, to a program of their own, to a socket on this machine. Whoever
// connects on behalf of a file, a parameter or an answer does it through internal/outbound.
var dialers = map[string]string{
	"internal/outbound":        "is what the others go through",
	"internal/bus":             "connects to NATS",
	"internal/executor/remote": "looks whether a socket on this machine is in use",
	"internal/cli/clitest":     "asks the programs that a script has started",
}

// connecting are expressions that make connections, or clients whose connections nobody checks.
var connecting = []string{"net.Dialer", "net.Dial", "net.DialTimeout", "tls.Dial", "tls.Dialer", "http.DefaultClient", "http.DefaultTransport", "http.Transport", "http.Get", "http.Post", "http.PostForm", "http.Head", "http.ProxyFromEnvironment"}

// TestNobodyElseDials finds clients that reach what internal/outbound refuses.
func TestNobodyElseDials(t *testing.T) {
	t.Parallel()
	for _, p := range load(t) {
		if dialers[p.name] != "" || strings.HasPrefix(p.name, "examples/") {
			continue
		}
		for _, f := range p.files {
			ast.Inspect(f, func(n ast.Node) bool {
				if what := connects(n); what != "" {
					t.Errorf("%s: %s connects beside internal/outbound", positions.Position(n.Pos()), what)
				}
				return true
			})
		}
	}
}

// connects is the expression of a node that connects; naming a type with a star is none.
func connects(n ast.Node) string {
	var e ast.Expr
	switch n := n.(type) {
	case *ast.CompositeLit:
		e = n.Type
	case *ast.CallExpr:
		e = n.Fun
		if s, is := e.(*ast.SelectorExpr); is && isDefault(s.X) {
			e = s.X
		}
	case *ast.ValueSpec:
		e = n.Type
	}
	if e == nil {
		return ""
	}
	for _, c := range connecting {
		if text := types.ExprString(e); text == c {
			return text
		}
	}
	return plainClient(n)
}

func isDefault(e ast.Expr) bool {
	return strings.HasPrefix(types.ExprString(e), "http.Default")
}

// plainClient is a client without a transport of its own.
func plainClient(n ast.Node) string {
	lit, is := n.(*ast.CompositeLit)
	if !is || lit.Type == nil || types.ExprString(lit.Type) != "http.Client" {
		return ""
	}
	for _, e := range lit.Elts {
		if kv, is := e.(*ast.KeyValueExpr); is && types.ExprString(kv.Key) == "Transport" {
			return ""
		}
	}
	return "http.Client{} without a Transport"
}
