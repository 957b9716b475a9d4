package plan

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/executor"
	"belay/internal/steps"
)

// maxBytes is the largest output that a rung may allow: an outcome travels in one message of less than 1 MiB.
const maxBytes = 768 << 10

// inTools is what the templates of a tools file may read: the step's parameters. A worker knows nothing else.
var inTools = view{
	roots: []string{"params"},
	absent: map[string]string{
		"input": toolsSeeParams, "steps": toolsSeeParams, "run": toolsSeeParams, "item": toolsSeeParams, "index": toolsSeeParams,
	},
}

const toolsSeeParams = "a tool sees only its parameters; pass it in the step's `with` and read params.<name>"

// executors are the keys of a rung that say how it is executed.
func (f *toolsFile) executors(t *ToolDef, r *RungDef) fields {
	return fields{
		"http":    func(n *yaml.Node) { f.readHTTP(r, n) },
		"command": func(n *yaml.Node) { f.readCommand(r, n) },
		"nats":    func(n *yaml.Node) { f.readNATS(r, n) },
		"cache":   func(n *yaml.Node) { f.readCache(r, n) },
		"static":  func(n *yaml.Node) { f.readStatic(r, n) },
		"go":      func(n *yaml.Node) { f.readGo(t, r, n) },
		"human":   func(n *yaml.Node) { f.readHuman(r, n) },
		"mcp":     nil,
		"model":   nil,
	}
}

// httpFile is an http executor as it was read, with what only people see.
type httpFile struct {
	*executor.HTTP
	url string
}

func (f *toolsFile) readHTTP(r *RungDef, n *yaml.Node) {
	h := &httpFile{HTTP: &executor.HTTP{Response: "json", MaxBytes: steps.MaxOutput}}
	found := f.object(n, "http", f.httpFields(h))
	r.at.url = valueOf(n, "url")
	f.require(n, "http", found, "url")
	if h.Method == "" {
		h.Method = http.MethodGet
		if h.Body != nil {
			h.Method = http.MethodPost
		}
	}
	if h.Body != nil && !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, h.Method) {
		f.at(found["body"], "use POST, PUT or PATCH", "%s sends no body", h.Method)
	}
	r.Spec.HTTP = h.HTTP
	r.Target = h.Method + " " + withoutSecrets(h.url)
}

// httpFields are the keys of an http executor.
func (f *toolsFile) httpFields(h *httpFile) fields {
	return fields{
		"method": choice(f.reader, &h.Method, http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead),
		"url":    func(n *yaml.Node) { f.readURL(h, n) },
		"query": func(n *yaml.Node) {
			h.Query = f.texts(n, "query")
			(*hiddenValues)(&h.Hidden).addMapping("query ", n)
		},
		"headers": func(n *yaml.Node) {
			h.Headers = f.texts(n, "headers")
			(*hiddenValues)(&h.Hidden).addMapping("header ", n)
		},
		"body":             func(n *yaml.Node) { h.Body = f.body(n) },
		"auth":             func(n *yaml.Node) { f.readAuth(h, n) },
		"response":         choice(f.reader, &h.Response, "json", "text"),
		"max_bytes":        f.int(&h.MaxBytes, 1, maxBytes),
		"follow_redirects": f.bool(&h.FollowRedirects),
	}
}

func (f *toolsFile) readURL(h *httpFile, n *yaml.Node) {
	s, ok := f.text(n)
	if !ok {
		return
	}
	if !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		f.at(n, "a value put into a URL is encoded as one segment of its path", "a url begins with http:// or https://")
		return
	}
	h.url = s
	(*hiddenValues)(&h.Hidden).addURL(s)
	h.URL = f.template(n, encodeSegment)
}

func (f *toolsFile) readAuth(h *httpFile, n *yaml.Node) {
	f.object(n, "auth", f.authFields(h))
	if (h.BearerEnv == "") == (h.BasicEnv == "") && n.Kind == yaml.MappingNode {
		f.at(n, "", "auth has either bearer_env or basic_env")
	}
}

// authFields are the keys of an http executor's auth: names of environment variables, never secrets themselves.
func (f *toolsFile) authFields(h *httpFile) fields {
	const rule = "the name of an environment variable of the worker, not the secret itself"
	return fields{
		"bearer_env": f.checked(&h.BearerEnv, validEnv, rule),
		"basic_env":  f.checked(&h.BasicEnv, validEnv, rule),
	}
}

func (f *toolsFile) readCommand(r *RungDef, n *yaml.Node) {
	c := &executor.Command{Dir: f.base, Stdout: "json", MaxBytes: steps.MaxOutput, Grace: defaultGrace}
	var argv []string
	found := f.object(n, "command", f.commandFields(c, &argv))
	if words := valueOf(n, "argv"); words != nil && len(words.Content) == len(argv) {
		r.at.argv = resolved(words.Content)
	}
	f.require(n, "command", found, "argv")
	(*hiddenValues)(&c.Hidden).addWords(argv)
	for _, v := range c.Env {
		if !v.FromEnv {
			(*hiddenValues)(&c.Hidden).addNamed("", v.Name, v.Value)
		}
	}
	r.Spec.Command = c
	r.Target = commandLine(argv)
}

// commandFields are the keys of a command executor.
func (f *toolsFile) commandFields(c *executor.Command, argv *[]string) fields {
	return fields{
		"argv":      func(n *yaml.Node) { f.readArgv(c, argv, n) },
		"dir":       f.dir(&c.Dir),
		"env":       f.env(&c.Env),
		"stdout":    choice(f.reader, &c.Stdout, "json", "text"),
		"max_bytes": f.int(&c.MaxBytes, 1, maxBytes),
		"grace":     f.grace(&c.Grace),
	}
}

// grace reads how long a command may take to end once it is told to.
func (f *toolsFile) grace(into *time.Duration) field {
	return func(n *yaml.Node) {
		d := steps.Duration(*into)
		f.duration(&d, 0)(n)
		*into = time.Duration(d)
	}
}

// settleGrace keeps a command's grace within its rung's timeout: the default is cut, one that was written is refused.
func (f *toolsFile) settleGrace(n *yaml.Node, r *RungDef) {
	c, timeout := r.Spec.Command, time.Duration(r.Timeout)
	if c == nil || timeout <= 0 || c.Grace <= timeout {
		return
	}
	if written := valueOf(valueOf(n, "command"), "grace"); written != nil {
		f.at(written, "a command that is told to end has at most its timeout for it", "the grace, %s, is longer than the timeout, %s", spoken(c.Grace), spoken(timeout))
	}
	c.Grace = timeout
}

func (f *toolsFile) readArgv(c *executor.Command, argv *[]string, n *yaml.Node) {
	f.list(n, "argv", func(_ int, e *yaml.Node) {
		if s, ok := f.text(e); ok {
			*argv = append(*argv, s)
			c.Argv = append(c.Argv, f.template(e, nil))
		}
	})
	f.needProgram(n)
}

func (f *toolsFile) readNATS(r *RungDef, n *yaml.Node) {
	c := &executor.NATS{MaxBytes: steps.MaxOutput}
	found := f.object(n, "nats", f.natsFields(c, &r.Target))
	f.require(n, "nats", found, "subject")
	r.Spec.NATS = c
}

// natsFields are the keys of a nats executor.
func (f *toolsFile) natsFields(c *executor.NATS, target *string) fields {
	return fields{
		"subject": func(n *yaml.Node) {
			if s, ok := f.text(n); ok {
				*target = "subject " + s
				c.Subject = f.template(n, encodeToken)
			}
		},
		"headers": func(n *yaml.Node) {
			c.Headers = f.texts(n, "headers")
			(*hiddenValues)(&c.Hidden).addMapping("header ", n)
		},
		"max_bytes": f.int(&c.MaxBytes, 1, maxBytes),
	}
}

// encodeToken refuses values that would make another subject of a subject: one value is one token.
func encodeToken(s string) (string, error) {
	if s == "" || strings.ContainsAny(s, ".*> \t\r\n\x00") {
		return "", fmt.Errorf("%q cannot be a token of a subject", shorten(s))
	}
	return s, nil
}

func (f *toolsFile) readCache(r *RungDef, n *yaml.Node) {
	var age steps.Duration
	found := f.object(n, "cache", f.cacheFields(&age))
	f.require(n, "cache", found, "max_age")
	r.Spec.Cache = &executor.Cache{MaxAge: time.Duration(age)}
	r.Target = "the last good result, at most " + spoken(time.Duration(age)) + " old"
}

// cacheFields are the keys of a cache executor.
func (f *toolsFile) cacheFields(age *steps.Duration) fields {
	return fields{"max_age": f.duration(age, time.Second)}
}

func (f *toolsFile) readStatic(r *RungDef, n *yaml.Node) {
	s := &executor.Static{}
	found := f.object(n, "static", f.staticFields(s))
	f.require(n, "static", found, "output")
	r.Spec.Static = s
	r.Target = "a fixed value"
}

// staticFields are the keys of a static executor.
func (f *toolsFile) staticFields(s *executor.Static) fields {
	return fields{"output": func(n *yaml.Node) {
		f.json(&s.Output)(n)
		t, faults := compileTemplate(steps.Decode(s.Output), "output", inTools)
		if len(faults) > 0 || t.constant == nil {
			f.at(n, "write $${ for a plain ${", "a static output takes no expressions")
			return
		}
		s.Output = t.constant
	}}
}

func (f *toolsFile) readGo(t *ToolDef, r *RungDef, n *yaml.Node) {
	if n.ShortTag() != "!!null" {
		f.object(n, "go", fields{})
	}
	r.Spec.Go = &executor.Go{}
	r.Target = "the handler of " + t.Name + " in the worker"
}

// texts reads a mapping of names to templates.
func (f *toolsFile) texts(n *yaml.Node, what string) map[string]executor.Text {
	out := map[string]executor.Text{}
	f.mapping(n, what, func(key, value *yaml.Node) {
		if _, ok := f.text(value); ok {
			out[key.Value] = f.template(value, nil)
		}
	})
	return out
}

// template compiles the string in n; faults are reported, and then the result must not be used.
func (f *toolsFile) template(n *yaml.Node, encode func(string) (string, error)) executor.Text {
	t, faults := compileText(n.Value, inTools, encode)
	f.inside(n, faults)
	return func(params any) (string, error) { return t.evaluate(withParams(params)) }
}

func (f *toolsFile) body(n *yaml.Node) func(params any) (json.RawMessage, error) {
	v, ok := f.value(n)
	if !ok {
		return nil
	}
	f.checkTemplate(n, inTools)
	t, _ := compileTemplate(v, "body", inTools)
	return func(params any) (json.RawMessage, error) {
		if t.constant != nil {
			return t.constant, nil
		}
		b, err := t.render(nil, withParams(params))
		return b, err
	}
}

func withParams(params any) map[string]any {
	env := newEnvironment(1)
	env["params"] = params
	return env
}
