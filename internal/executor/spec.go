package executor

import (
	"encoding/json"
	"time"
)

// Spec is what one rung of the tools file says about its executor, with its templates compiled. Exactly one field is
// set; toolbox picks the plug-in by it.
type Spec struct {
	HTTP    *HTTP
	Command *Command
	NATS    *NATS
	Cache   *Cache
	Static  *Static
	Go      *Go
}

// Text is a compiled template. It gets the step's parameters, decoded with their numbers as [json.Number], and gives
// the text with all values filled in. Whoever compiles one for a URL percent-encodes each value as one segment.
type Text func(params any) (string, error)

// HTTP calls a URL.
type HTTP struct {
	Method          string                                    // empty: GET
	URL             Text                                      // whole and already encoded
	Query           map[string]Text                           // added to the URL, encoded by the plug-in
	Headers         map[string]Text                           //
	Body            func(params any) (json.RawMessage, error) // nil: the parameters on POST, PUT and PATCH, else no body
	BearerEnv       string                                    // environment variable that holds a token
	BasicEnv        string                                    // environment variable that holds `user:password`
	Response        string                                    // json (also when empty) or text
	MaxBytes        int                                       // of the response's body; 0: steps.MaxOutput
	FollowRedirects bool                                      // otherwise a 3xx is a tool_error
	Hidden          map[string]string                         // secrets that the tools file itself holds, by what is shown in their place
}

// Command starts a program, without a shell.
type Command struct {
	Argv     []Text // the program and its arguments
	Dir      string // working directory; empty: the worker's
	Env      []EnvVar
	Stdout   string // json (also when empty) or text
	MaxBytes int    // of stdout; 0: steps.MaxOutput
	// Grace is how long the command has to end by itself once it was told to, with SIGTERM; then it is killed. 0: killed
	// at once.
	Grace  time.Duration
	Hidden map[string]string // secrets that the tools file itself holds, by what is shown in their place
}

// EnvVar is a variable that a command sees: a fixed value, or the worker's own variable of that name let through.
type EnvVar struct {
	Name, Value string
	FromEnv     bool
}

// NATS asks a service by request and reply.
type NATS struct {
	Subject  Text
	Headers  map[string]Text
	MaxBytes int               // of the reply; 0: steps.MaxOutput
	Hidden   map[string]string // secrets that the tools file itself holds, by what is shown in their place
}

// Cache gives the last good result of the same tool with the same parameters.
type Cache struct {
	MaxAge time.Duration // 0: any age
}

// Static gives always the same value.
type Static struct {
	Output json.RawMessage
}

// Go calls the handler that the worker's binary registered under the tool and rung.
type Go struct{}
