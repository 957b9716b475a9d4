package plan

import (
	"net/url"
	"strings"

	"go.yaml.in/yaml/v4"

	"belay/internal/executor"
	"belay/internal/expr"
	"belay/internal/outbound"
	"belay/internal/yamldoc"
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

// hostSegment is the first expression that says something of a URL's host or port.
func hostSegment(s string) (expr.Segment, bool) {
	segments, _ := expr.Split(s)
	for i, part := range segments {
		text := part.Text
		if i == 0 {
			_, text, _ = strings.Cut(text, "://")
		}
		switch {
		case part.Expression:
			return part, true
		case strings.ContainsAny(text, `/?#\`):
			return expr.Segment{}, false
		}
	}
	return expr.Segment{}, false
}

func everyHost(entry string) bool { return entry == "*" || strings.HasPrefix(entry, "*:") }

// readHosts reads where parameters and redirects may lead.
func (f *toolsFile) readHosts(n *yaml.Node, into *outbound.Hosts) {
	f.List(n, "allow_hosts", func(_ int, e *yaml.Node) {
		s, ok := f.Text(e)
		if !ok {
			return
		}
		if err := outbound.CheckHost(s); err != nil {
			f.At(e, `like api.example.com, "*.example.com" for all below it, or api.example.com:8443`, "%q is not a host", yamldoc.Shorten(s))
			return
		}
		*into = append(*into, s)
	})
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		f.At(n, "leave it out where the url names its host", "allow_hosts names no host")
	}
}

// settleHost finds out who chooses the host. Whoever gives a parameter that does chooses whom the worker talks to and shows its
// secrets, so the file has to say who that may be.
func (f *toolsFile) settleHost(r *RungDef, h *executor.HTTP, listed bool) {
	if r.at.url == nil {
		return
	}
	s, is := hostSegment(r.at.url.Value)
	h.ChosenHost = is
	if is && !listed {
		f.Inside(r.at.url, []yamldoc.Fault{{At: s.At, Message: "a parameter chooses the host of the url, and nothing says which hosts it may be",
			Hint: `write the host out, or name those that may be: allow_hosts: [api.example.com, "*.example.com"]`}})
	}
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
