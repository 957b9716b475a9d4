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
	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// maxBytes is the largest output that a rung may allow: an outcome travels in one message of less than 1 MiB.
const maxBytes = 768 << 10

// inTools is what the templates of a tools file may read: the step's parameters. A worker knows nothing else.
var inTools = expr.Readable{
	Roots: []string{"params"},
	Absent: map[string]string{
		"input": toolsSeeParams, "steps": toolsSeeParams, "run": toolsSeeParams, "item": toolsSeeParams, "index": toolsSeeParams,
	},
}

const toolsSeeParams = "a tool sees only its parameters; pass it in the step's `with` and read params.<name>"

// executors are the keys of a rung that say how it is executed.
func (f *toolsFile) executors(t *ToolDef, r *RungDef) yamldoc.Fields {
	return yamldoc.Fields{
		"http":    func(n *yaml.Node) { f.readHTTP(r, n) },
		"command": func(n *yaml.Node) { f.readCommand(r, n) },
		"nats":    func(n *yaml.Node) { f.readNATS(r, n) },
		"cache":   func(n *yaml.Node) { f.readCache(r, n) },
		"static":  func(n *yaml.Node) { f.readStatic(r, n) },
		"go":      func(n *yaml.Node) { f.readGo(t, r, n) },
		"remote":  func(n *yaml.Node) { f.readRemote(t, r, n) },
		"human":   func(n *yaml.Node) { f.readHuman(r, n) },
		"mcp":     func(n *yaml.Node) { f.readMCP(r, n) },
		"model":   func(n *yaml.Node) { f.readModel(r, n) },
	}
}

// httpFile is an http executor as it was read, with what only people see.
type httpFile struct {
	*executor.HTTP
	url string
}

func (f *toolsFile) readHTTP(r *RungDef, n *yaml.Node) {
	h := &httpFile{HTTP: &executor.HTTP{Response: "json", MaxBytes: steps.MaxOutput}}
	found := f.Object(n, "http", f.httpFields(h))
	r.at.url = yamldoc.ValueOf(n, "url")
	f.settleHost(r, h.HTTP, found["allow_hosts"] != nil)
	f.Require(n, "http", found, "url")
	if h.Method == "" {
		h.Method = http.MethodGet
		if h.Body != nil {
			h.Method = http.MethodPost
		}
	}
	if h.Body != nil && !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, h.Method) {
		f.At(found["body"], "use POST, PUT or PATCH", "%s sends no body", h.Method)
	}
	r.Spec.HTTP = h.HTTP
	r.Target = h.Method + " " + withoutSecrets(h.url)
}

// httpFields are the keys of an http executor.
func (f *toolsFile) httpFields(h *httpFile) yamldoc.Fields {
	return yamldoc.Fields{
		"method": yamldoc.Choice(f.Reader, &h.Method, http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead),
		"url":    func(n *yaml.Node) { f.readURL(h, n) },
		"query": func(n *yaml.Node) {
			h.Query = f.texts(n, "query")
			(*hiddenValues)(&h.Hidden).addMapping("query ", n)
		},
		"headers": func(n *yaml.Node) {
			f.checkHeaders(n)
			h.Headers = f.texts(n, "headers")
			(*hiddenValues)(&h.Hidden).addMapping("header ", n)
		},
		"body":             func(n *yaml.Node) { h.Body = f.body(n) },
		"auth":             func(n *yaml.Node) { f.readAuth(&h.BearerEnv, &h.BasicEnv, n) },
		"response":         yamldoc.Choice(f.Reader, &h.Response, "json", "text"),
		"max_bytes":        f.Int(&h.MaxBytes, 1, maxBytes),
		"follow_redirects": f.Bool(&h.FollowRedirects),
		"allow_hosts":      func(n *yaml.Node) { f.readHosts(n, &h.AllowHosts) },
	}
}

func (f *toolsFile) readURL(h *httpFile, n *yaml.Node) {
	s, ok := f.Text(n)
	if !ok {
		return
	}
	if !f.checkURL(n, s, "a value put into a URL is encoded as one segment of its path") {
		return
	}
	h.url = s
	(*hiddenValues)(&h.Hidden).addURL(s)
	h.URL = f.template(n, expr.EncodeSegment)
}

func (f *toolsFile) readAuth(bearer, basic *string, n *yaml.Node) {
	switch found := f.Object(n, "auth", f.authFields(bearer, basic)); {
	case found == nil:
	case found["bearer_env"] == nil && found["basic_env"] == nil:
		f.At(n, "the name of an environment variable of the worker", "auth has neither bearer_env nor basic_env")
	case found["bearer_env"] != nil && found["basic_env"] != nil:
		f.At(n, "", "auth has both bearer_env and basic_env: it takes one of them")
	}
}

// authFields are the keys of auth: names of environment variables, never secrets themselves.
func (f *toolsFile) authFields(bearer, basic *string) yamldoc.Fields {
	const rule = "the name of an environment variable of the worker, not the secret itself"
	return yamldoc.Fields{
		"bearer_env": f.Checked(bearer, validEnv, rule),
		"basic_env":  f.Checked(basic, validEnv, rule),
	}
}

func (f *toolsFile) readCommand(r *RungDef, n *yaml.Node) {
	c := &executor.Command{Dir: f.base, Stdout: "json", MaxBytes: steps.MaxOutput, Grace: defaultGrace}
	var argv []string
	found := f.Object(n, "command", f.commandFields(c, &argv))
	if words := yamldoc.ValueOf(n, "argv"); words != nil && len(words.Content) == len(argv) {
		r.at.argv = yamldoc.ResolveAll(words.Content)
	}
	f.Require(n, "command", found, "argv")
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
func (f *toolsFile) commandFields(c *executor.Command, argv *[]string) yamldoc.Fields {
	return yamldoc.Fields{
		"argv":      func(n *yaml.Node) { f.readArgv(c, argv, n) },
		"dir":       f.dir(&c.Dir),
		"env":       f.env(&c.Env),
		"stdout":    yamldoc.Choice(f.Reader, &c.Stdout, "json", "text"),
		"max_bytes": f.Int(&c.MaxBytes, 1, maxBytes),
		"grace":     f.grace(&c.Grace),
	}
}

// grace reads how long a command may take to end once it is told to.
func (f *toolsFile) grace(into *time.Duration) yamldoc.Field {
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
	if written := yamldoc.ValueOf(yamldoc.ValueOf(n, "command"), "grace"); written != nil {
		f.At(written, "a command that is told to end has at most its timeout for it", "the grace, %s, is longer than the timeout, %s", yamldoc.SpokenDuration(c.Grace), yamldoc.SpokenDuration(timeout))
	}
	c.Grace = timeout
}

func (f *toolsFile) readArgv(c *executor.Command, argv *[]string, n *yaml.Node) {
	f.List(n, "argv", func(_ int, e *yaml.Node) {
		if s, ok := f.Text(e); ok {
			*argv = append(*argv, s)
			c.Argv = append(c.Argv, f.template(e, nil))
		}
	})
	f.needProgram(n)
}

func (f *toolsFile) readNATS(r *RungDef, n *yaml.Node) {
	c := &executor.NATS{MaxBytes: steps.MaxOutput}
	found := f.Object(n, "nats", f.natsFields(c, &r.Target))
	f.Require(n, "nats", found, "subject")
	r.Spec.NATS = c
}

// natsFields are the keys of a nats executor.
func (f *toolsFile) natsFields(c *executor.NATS, target *string) yamldoc.Fields {
	return yamldoc.Fields{
		"subject": func(n *yaml.Node) {
			if s, ok := f.Text(n); ok {
				*target = "subject " + s
				c.Subject = f.template(n, encodeToken)
			}
		},
		"headers": func(n *yaml.Node) {
			c.Headers = f.texts(n, "headers")
			(*hiddenValues)(&c.Hidden).addMapping("header ", n)
		},
		"max_bytes": f.Int(&c.MaxBytes, 1, maxBytes),
	}
}

// encodeToken refuses values that would make another subject of a subject: one value is one token.
func encodeToken(s string) (string, error) {
	if s == "" || strings.ContainsAny(s, ".*> \t\r\n\x00") {
		return "", fmt.Errorf("%q cannot be a token of a subject", yamldoc.Shorten(s))
	}
	return s, nil
}

func (f *toolsFile) readCache(r *RungDef, n *yaml.Node) {
	var age steps.Duration
	found := f.Object(n, "cache", f.cacheFields(&age))
	f.Require(n, "cache", found, "max_age")
	r.Spec.Cache = &executor.Cache{MaxAge: time.Duration(age)}
	r.Target = "the last good result, at most " + yamldoc.SpokenDuration(time.Duration(age)) + " old"
}

// cacheFields are the keys of a cache executor.
func (f *toolsFile) cacheFields(age *steps.Duration) yamldoc.Fields {
	return yamldoc.Fields{"max_age": f.duration(age, time.Second)}
}

func (f *toolsFile) readStatic(r *RungDef, n *yaml.Node) {
	s := &executor.Static{}
	found := f.Object(n, "static", f.staticFields(s))
	f.Require(n, "static", found, "output")
	r.Spec.Static = s
	r.Target = "a fixed value"
}

// staticFields are the keys of a static executor.
func (f *toolsFile) staticFields(s *executor.Static) yamldoc.Fields {
	return yamldoc.Fields{"output": func(n *yaml.Node) {
		f.json(&s.Output)(n)
		t, faults := expr.CompileTemplate(steps.Decode(s.Output), "output", inTools)
		if len(faults) > 0 || t.Constant == nil {
			f.At(n, "write $${ for a plain ${", "a static output cannot have expressions")
			return
		}
		s.Output = t.Constant
	}}
}

func (f *toolsFile) readGo(t *ToolDef, r *RungDef, n *yaml.Node) {
	if n.ShortTag() != "!!null" {
		f.Object(n, "go", yamldoc.Fields{})
	}
	r.Spec.Go = &executor.Go{}
	r.Target = "the handler of " + t.Name + " in the worker"
}

func (f *toolsFile) readRemote(t *ToolDef, r *RungDef, n *yaml.Node) {
	c := &executor.Remote{MaxBytes: steps.MaxOutput}
	if n.ShortTag() != "!!null" {
		f.Object(n, "remote", f.remoteFields(c))
	}
	r.Spec.Remote = c
	r.Target = "a program that polls a worker for " + t.Name
}

// settleCrashes gives a remote rung as many tries where a program is lost as for its other faults. Where a worker is lost
// the redeliveries of its message are the tries; a lost program's worker reports it at once.
func (r *RungDef) settleCrashes() {
	if r.Spec.Remote == nil || r.Retry.On[steps.Crashed].MaxAttempts > 0 {
		return
	}
	if r.Retry.On == nil {
		r.Retry.On = map[steps.Class]steps.ClassPolicy{}
	}
	c := r.Retry.On[steps.Crashed]
	c.MaxAttempts = r.Retry.MaxAttempts
	r.Retry.On[steps.Crashed] = c
}

// remoteFields are the keys of a remote executor.
func (f *toolsFile) remoteFields(c *executor.Remote) yamldoc.Fields {
	return yamldoc.Fields{
		"max_bytes": f.Int(&c.MaxBytes, 1, maxBytes),
		"beat_every": func(n *yaml.Node) {
			var d steps.Duration
			f.duration(&d, leastBeat)(n)
			c.BeatEvery = time.Duration(d)
		},
	}
}

// leastBeat is the shortest pause between two signs of life that a rung may ask for.
const leastBeat = 100 * time.Millisecond

// texts reads a mapping of names to templates.
func (f *toolsFile) texts(n *yaml.Node, what string) map[string]executor.Text {
	out := map[string]executor.Text{}
	f.Mapping(n, what, func(key, value *yaml.Node) {
		if _, ok := f.Text(value); ok {
			out[key.Value] = f.template(value, nil)
		}
	})
	return out
}

// template compiles the string in n; faults are reported, and then the result must not be used.
func (f *toolsFile) template(n *yaml.Node, encode func(string) (string, error)) executor.Text {
	t, faults := expr.CompileText(n.Value, inTools, encode)
	f.Inside(n, faults)
	return t.Of
}

func (f *toolsFile) body(n *yaml.Node) func(params any) (json.RawMessage, error) {
	v, ok := f.Value(n)
	if !ok {
		return nil
	}
	f.checkTemplate(n, inTools)
	t, _ := expr.CompileTemplate(v, "body", inTools)
	return t.Of
}
