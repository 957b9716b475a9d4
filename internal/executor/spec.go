package executor

import (
	"encoding/json"
	"time"

	"belay/internal/outbound"
)

// Spec is what one rung of the tools file says about its executor, with its templates compiled. Exactly one field is
// set; ladder picks the plug-in by it.
type Spec struct {
	HTTP    *HTTP    // `http`
	Command *Command // `command`
	NATS    *NATS    // `nats`
	Cache   *Cache   // `cache`
	Static  *Static  // `static`
	Go      *Go      // `go`
	MCP     *MCP     // `mcp`
	Remote  *Remote  // `remote`
	Model   *Model   // `model`
}

// Text is a compiled template. It takes the step's parameters, decoded with numbers as [json.Number], and returns the
// text with all values filled in. A template for a URL percent-encodes each value as one segment.
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
	ChosenHost      bool                                      // the parameters say something of the host or its port
	AllowHosts      outbound.Hosts                            // where the parameters and redirects may lead; for redirects none = everywhere
	Hidden          map[string]string                         // secrets that the tools file itself holds, by what is shown in their place
}

// Command starts a program, without a shell.
type Command struct {
	Argv     []Text   // the program and its arguments
	Dir      string   // working directory; empty: the worker's
	Env      []EnvVar // what it sees beside PATH, HOME and the BELAY_ variables; of two of one name the later one counts
	Stdout   string   // json (also when empty) or text
	MaxBytes int      // of stdout; 0: steps.MaxOutput
	// Grace is how long the command may take to end after SIGTERM; then it is killed. 0: it is killed at once.
	Grace  time.Duration
	Hidden map[string]string // secrets that the tools file itself holds, by what is shown in their place
}

// EnvVar is a variable that a command sees: a fixed value, or the worker's own variable of that name let through.
type EnvVar struct {
	Name, Value string // Value is fixed; empty with FromEnv
	FromEnv     bool   // the value is the worker's own
}

// NATS asks a service by request and reply.
type NATS struct {
	Subject  Text              // where the service listens
	Headers  map[string]Text   // added to those that every request has
	MaxBytes int               // of the reply; 0: steps.MaxOutput
	Hidden   map[string]string // secrets that the tools file itself holds, by what is shown in their place
}

// Cache returns the last good result of the same tool with the same parameters.
type Cache struct {
	MaxAge time.Duration // 0: any age
}

// Static always returns the same value.
type Static struct {
	Output json.RawMessage // a JSON value, in which `$${` of the tools file is already `${`
}

// Go calls the handler that the worker's binary registered under the tool and rung.
type Go struct{}

// MCP calls a tool of an MCP server.
type MCP struct {
	Server   MCPServer       // rungs with the same one share its session
	Tool     string          // as the server calls it
	Response string          // text (also when empty) or json: what an answer becomes that is one text
	MaxBytes int             // of the output; 0: steps.MaxOutput
	Schema   json.RawMessage // the tool's input_schema, which the server's is compared with; nil: it is not compared
	Strict   bool            // nothing is sent where the server has another schema; otherwise it is only logged
}

// MCPServer is a program that speaks MCP on stdin and stdout, or a URL at which one is served.
type MCPServer struct {
	Argv      []string          // the program and its arguments; empty: it has a URL
	Dir       string            // the program's working directory; empty: the worker's
	Env       []EnvVar          // what the program sees beside PATH and HOME; of two of one name the later one counts
	URL       string            // where it is served over streamable HTTP
	Headers   map[string]string // sent with every request
	BearerEnv string            // environment variable that holds a token
	BasicEnv  string            // environment variable that holds `user:password`
	Hidden    map[string]string // secrets that the tools file itself holds, by what is shown in their place
}

// Remote is executed by whatever program polls the worker over HTTP.
type Remote struct {
	MaxBytes  int           // of the output as it is sent; 0: steps.MaxOutput
	BeatEvery time.Duration // how often the program must give a sign of life; 0: 5 s. After three times that it counts as crashed
}

// The protocols in which models are asked.
const (
	ProviderOpenAI    = "openai"    // chat completions, which many others speak as well
	ProviderAnthropic = "anthropic" // messages
)

// Model asks a model of a provider.
type Model struct {
	Provider        string   // ProviderOpenAI or ProviderAnthropic
	Model           string   // as the provider calls it
	BaseURL         string   // empty: the provider's own
	BearerEnv       string   // environment variable that holds the key; empty: none is sent
	Instructions    Text     // nil without
	Prompt          Text     // nil: the parameters say what is asked
	MaxOutputTokens int      // 0: what the provider allows
	Temperature     *float64 // nil: the provider's
	MaxBytes        int      // of the answer; 0: steps.MaxOutput

	// Schema is of the object that is the output; nil: the output is what the model said and called. Fits says how an
	// object does not fit it.
	Schema json.RawMessage
	Fits   func(object json.RawMessage) error
	// Compile makes Fits of a schema that comes with the parameters.
	Compile func(schema json.RawMessage) (func(json.RawMessage) error, error)
}
