package plan

import (
	"net/url"
	"strings"

	"go.yaml.in/yaml/v4"

	"belay/internal/expr"
)

// checkURL reports what is wrong with where an executor goes, as far as it is written out: expressions may stand in it. The hint
// is for one that is not a URL of the web.
func (f *toolsFile) checkURL(n *yaml.Node, s, hint string) bool {
	if !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		f.At(n, hint, "a url must begin with http:// or https://")
		return false
	}
	head, whole := writtenOut(s)
	u, err := url.Parse(head)
	switch {
	case whole && err != nil:
		f.At(n, "like https://api.example.com/orders; / and @ in a password are %2F and %40", "this is not a url") // what is wrong may be a secret
		return false
	case err == nil && u.Hostname() == "" && (whole || u.Path != "" || u.RawQuery != ""):
		f.At(n, "like https://api.example.com/orders", "the url has no host")
		return false
	}
	return true
}

// writtenOut is what of a text stands before its first expression, and whether that is all of it.
func writtenOut(s string) (head string, whole bool) {
	segments, faults := expr.Split(s)
	if len(faults) > 0 {
		return "", false
	}
	for _, part := range segments {
		if part.Expression {
			return head, false
		}
		head += part.Text
	}
	return head, true
}

// headerName reports whether HTTP knows headers of that name.
func headerName(s string) bool {
	const marks = "!#$%&'*+-.^_`|~"
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune(marks, c)
	})
}

// checkHeaders reports names in a mapping that cannot be sent.
func (f *toolsFile) checkHeaders(n *yaml.Node) {
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if key := n.Content[i]; key.Kind == yaml.ScalarNode && !headerName(key.Value) {
			f.At(key, "letters, digits and -, like X-Team", "%q is not the name of a header", key.Value)
		}
	}
}
