package cli

import (
	"time"

	"github.com/spf13/pflag"
)

// The global flags, and those of the commands that keep running. They are all defined here, because they are also the
// keys of a settings file, and either program checks the whole file.

func (a *App) globalFlags(f *pflag.FlagSet) {
	f.StringVar(&a.configFile, "config", "", "settings `file` (default $XDG_CONFIG_HOME/belay/config.yaml, if it exists)")
	f.VarP(OneOf(&a.output, "text", "text", "json"), "output", "o", "format of the data on stdout; with json, progress and everything else goes to stderr")
	f.BoolVarP(&a.Verbose, "verbose", "v", false, "log every state change")
	f.Var(OneOf(&a.LogLevel, "", "debug", "info", "warn", "error"), "log-level", "log this level and above (default info for programs that keep running, else warn)")
	f.Var(OneOf(&a.logForm, "", "text", "json"), "log-format", "format of the log (default text on a terminal, else json)")
	f.Var(OneOf(&a.color, "auto", "auto", "always", "never"), "color", "when to color text; auto: on a terminal")
	f.StringVar(&a.DataDir, "data-dir", "", "state `directory`: embedded store, signing key, note of a running server (default $XDG_STATE_HOME/belay)")
	f.StringVarP(&a.Conn.Server, "server", "s", "", "`URLs` of the NATS server, with commas between (NATS_URL)")
	f.StringVar(&a.Conn.Context, "context", "", "`name` of the nats CLI context to connect with (NATS_CONTEXT)")
	f.StringVar(&a.Conn.Creds, "creds", "", "NATS credentials `file` (NATS_CREDS)")
	f.StringVar(&a.Conn.NKey, "nkey", "", "NATS nkey seed `file` (NATS_NKEY)")
	f.StringVar(&a.Conn.User, "user", "", "NATS user name (NATS_USER)")
	f.StringVar(&a.Conn.Password, "password", "", "NATS password (NATS_PASSWORD)")
	f.StringVar(&a.Conn.Token, "token", "", "NATS token (NATS_TOKEN)")
	f.StringVar(&a.APIToken, "api-token", "", "Belay API `token`, which 'dispatcher serve' asks for when you decide, and when you start or cancel runs where NATS does not let you write logs, or the sign-in code of 'dispatcher dev' (BELAY_API_TOKEN)")
	f.StringVar(&a.Conn.TLSCert, "tlscert", "", "TLS client certificate `file` (NATS_CERT)")
	f.StringVar(&a.Conn.TLSKey, "tlskey", "", "TLS client key `file` (NATS_KEY)")
	f.StringVar(&a.Conn.TLSCA, "tlsca", "", "`file` with the TLS authorities to trust (NATS_CA)")
	f.BoolVar(&a.Conn.TLSFirst, "tlsfirst", false, "do the TLS handshake before the server's greeting")
	f.DurationVar(&a.Conn.Timeout, "timeout", 5*time.Second, "how long one request to NATS may take (NATS_TIMEOUT)")
	f.StringVar(&a.Conn.Domain, "js-domain", "", "JetStream domain")
	f.StringVar(&a.Conn.InboxPrefix, "inbox-prefix", "", "prefix of NATS inboxes (default _INBOX)")
	f.Var(OneOf(&a.private, "written", "written", "never", "always"), "private-addresses", "which hosts of tools may be at private addresses (this machine, its network): written: those that a tools file writes out; always: those that a parameter or a redirect chooses, too")
	f.Var(OneOf(&a.proxy, "none", "none", "environment"), "proxy", "environment: call tools, models and channels through the proxy of HTTP_PROXY, HTTPS_PROXY and NO_PROXY")
	f.StringVar(&a.Prefix, "prefix", "belay", "prefix of all subjects and streams; installations on one server need different ones")
}

// AddOutput gives a command more formats than text and json, with a flag of its own in place of the global one.
func (a *App) AddOutput(f *pflag.FlagSet, usage string, more ...string) {
	f.VarP(OneOf(&a.output, "text", append([]string{"text", "json"}, more...)...), "output", "o", usage)
}

// Output is the format of the data on stdout.
func (a *App) Output() string { return a.output }

// DispatchFlags are the flags of a dispatcher, in `serve` and in `dev`.
type DispatchFlags struct {
	Partitions         int           // of the runs' log in a new store; 0 = what suits the server
	Retention          time.Duration // how long a run is kept after its end
	Notify             string        // notify file; empty = nobody is notified
	Checkpoints        string        // file elsewhere that checkpoints of the audit trail are appended to; empty = none
	CheckpointsWebhook string        // URL that they are posted to; empty = none
	CheckpointsSecret  string        // that the posts are signed with

	Plans string // directory of the plans that the API starts by their names; empty = none has one

	TenantLabel string // label by whose value runs get turns

	Strict       bool // the API starts no plan with findings of `prove`, warnings included
	RequireProof bool // refuse approvals that count on who submitted the run, where nobody has proven it
}

func (f *DispatchFlags) add(fl *pflag.FlagSet) {
	fl.IntVar(&f.Partitions, "partitions", 0, "partitions of the runs' log, fixed once the streams exist (default 4, fewer with a server on this machine that has few cores)")
	fl.DurationVar(&f.Retention, "retention", 30*24*time.Hour, "how long a run is kept after its end")
	fl.StringVar(&f.TenantLabel, "tenant-label", "tenant", "`label` of a run that says whose it is: where more waits than workers take, each value gets its turn")
	fl.StringVar(&f.Plans, "plans", "", "`directory` of the plans that the HTTP API starts by their names, read again on SIGHUP; needs a tools file")
	fl.BoolVar(&f.Strict, "strict", false, "start no plan over HTTP for which 'dispatcher prove' has warnings, whether or not the request says strict=true")
	fl.BoolVar(&f.RequireProof, "require-proven-submitter", false, "where a tool says not_submitter, refuse to approve a run unless whoever submitted it has shown a token to the HTTP API")
	fl.StringVar(&f.Checkpoints, "checkpoints-to", "", "`file` on another disk that each signed checkpoint of the audit trail is appended to, and that the trail is compared with; empty = none")
	fl.StringVar(&f.CheckpointsWebhook, "checkpoints-webhook", "", "`URL` that each signed checkpoint of the audit trail is posted to; empty = none")
	fl.StringVar(&f.CheckpointsSecret, "checkpoints-secret", "", "`secret` that these posts are signed with, as in Standard Webhooks; set BELAY_CHECKPOINTS_SECRET rather than the flag")
	fl.StringVar(&f.Notify, "notify", "", "notify `file`: who gets notices of waiting escalations, and how; empty = nobody")
}

// DevFlags are the flags of `dispatcher dev`.
type DevFlags struct {
	DispatchFlags
	Tools      string     // tools file of the worker and the API; empty = tools.yaml, if there is one
	Listen     string     // address of the console, the API, metrics and health; empty = none
	NATSListen string     // address of the embedded server
	Durability string     // fsync or interval, of the embedded server
	NoWorker   bool       // start no worker, even if there is a tools file
	Work       WorkFlags  // where programs poll for remote rungs
	Faults     FaultFlags // faults on purpose
}

// Add defines the flags in fl.
func (f *DevFlags) Add(fl *pflag.FlagSet) {
	f.add(fl)
	fl.StringVar(&f.Tools, "tools", "", "tools `file` of the worker, and of what the HTTP API starts (default tools.yaml, if it exists)")
	fl.StringVar(&f.NATSListen, "nats-listen", "127.0.0.1:4222", "`address` of the embedded NATS server")
	fl.StringVar(&f.Listen, "listen", "127.0.0.1:8222", "`address` of the console, the API, metrics and health checks; empty = none")
	fl.Var(OneOf(&f.Durability, "fsync", "fsync", "interval"), "durability", "fsync: on disk before it counts; interval: within a second, so that a power cut may lose the last one")
	fl.BoolVar(&f.NoWorker, "no-worker", false, "start no worker")
	f.Work.add(fl)
	f.Faults.add(fl)
}

// startWait is how long programs that keep running wait for others at the start: a cluster that forms takes some seconds, and
// machines start in any order.
const startWait = 5 * time.Minute

// ServeFlags are the flags of `dispatcher serve`.
type ServeFlags struct {
	DispatchFlags
	Replicas    int           // of new streams and buckets; 0 = 3 in a cluster, else 1
	MaxBytes    Size          // of each partition of a new log; 0 = no limit
	Wait        time.Duration // for a server that is not there yet
	Tools       string        // tools file whose policies count for what the API starts; empty = it starts nothing
	Listen      string        // address of the console, the API, metrics and health; empty = none
	PublicURL   string        // where people reach the console; empty = only on this machine
	Scraped     []string      // host names under which metrics are read; none = any but the public one
	Environment string        // name on every page, with a color behind a colon
	Runbook     string        // pattern of the URL that an escalation's page links to; empty = no link

	Issuer       string   // OpenID Connect provider that people sign in with; empty = only tokens let in
	ClientID     string   // of the console at the provider
	ClientSecret string   // of the console at the provider; empty = a public client
	Claim        string   // name of the claim that lists a person's groups
	Roles        []string // role=group: the role of a group's members; needed with an issuer
}

// Add defines the flags in fl.
func (f *ServeFlags) Add(fl *pflag.FlagSet) {
	f.add(fl)
	fl.IntVar(&f.Replicas, "replicas", 0, "servers of a cluster that have each new stream and bucket, 1 to 5 (default 3 in a cluster, which lives through the loss of one, else 1)")
	fl.DurationVar(&f.Wait, "wait", startWait, "how long to wait at the start for the NATS server, the leader of its cluster and as many servers as there are to be replicas; 0s = leave at once")
	fl.Var(&f.MaxBytes, "max-bytes", "how large each partition of a new log may become, like 4GiB, where the NATS account requires a limit; the other streams and buckets get theirs by it (default: no limit)")
	fl.StringVar(&f.Tools, "tools", "", "tools `file` of what the HTTP API starts, read again on SIGHUP; empty = it starts nothing")
	fl.StringVar(&f.Listen, "listen", "", "`address` of the console, the API, metrics and health checks; empty = none")
	fl.StringVar(&f.PublicURL, "public-url", "", "`URL` at which people reach the console, like https://belay.example.com (default: only this machine can)")
	fl.StringSliceVar(&f.Scraped, "metrics-host", nil, "`host` name under which /metrics is read, like belay-1 or belay-1:8222; several with commas, * = any (default: any but that of --public-url)")
	fl.StringVar(&f.Environment, "environment", "", "`name` on every page, with a color: \"PROD eu-1:red\" (red, amber, green, blue, grey)")
	fl.StringVar(&f.Runbook, "runbook", "", "`URL` that an escalation's page links to: https://wiki.example.com/{tool}#{class}; also {kind}, {workflow}, {step}")
	fl.StringVar(&f.Issuer, "oidc-issuer", "", "`URL` of the OpenID Connect provider that people sign in with; its redirect URL is <public-url>/login/callback")
	fl.StringVar(&f.ClientID, "oidc-client-id", "belay", "the console's client id at the provider")
	fl.StringVar(&f.ClientSecret, "oidc-client-secret", "", "the console's client secret at the provider (BELAY_OIDC_CLIENT_SECRET); empty for a public client")
	fl.StringVar(&f.Claim, "oidc-groups-claim", "groups", "claim that lists a person's groups")
	fl.StringSliceVar(&f.Roles, "oidc-role", nil, "what a group's members may do, as `role=group`: approver=payments-leads,viewer=*")
}

// WorkerFlags are the flags of the worker.
type WorkerFlags struct {
	Tools           string         // tools file; empty = tools.yaml
	Only            []string       // serve only these of its tools; none = all
	Concurrency     int            // attempts executed at once; 0 = 16 per core
	ToolConcurrency map[string]int // the same of one tool; a tool that is not in it has no limit of its own
	Wait            time.Duration  // for a server that is not there yet, and for streams
	AckWait         time.Duration  // how long a worker may be silent before its messages are redelivered; the same for all workers
	DrainTimeout    time.Duration  // how long a stop waits for executing attempts
	Listen          string         // address of metrics and health; empty = none
	Trust           string         // the keys that approvals are checked with, or a file of them; empty = those that it pins
	Passkeys        string         // file of the passkeys that it trusts; empty = none
	Work            WorkFlags      // where programs poll for remote rungs
	Faults          FaultFlags     // faults on purpose
}

// Add defines the flags in fl.
func (f *WorkerFlags) Add(fl *pflag.FlagSet) {
	fl.StringVar(&f.Tools, "tools", "", "tools `file` (default tools.yaml)")
	fl.StringSliceVar(&f.Only, "only", nil, "serve only these `tools`, with commas between (default all)")
	fl.IntVar(&f.Concurrency, "concurrency", 0, "attempts executed at once (default 16 per core)")
	fl.StringToIntVar(&f.ToolConcurrency, "tool-concurrency", nil, "attempts of one tool executed at once, as `tool=n` (default: no limit of its own)")
	fl.Lookup("tool-concurrency").DefValue = "" // help would show it as []
	fl.DurationVar(&f.Wait, "wait", startWait, "how long to wait at the start for the NATS server, the leader of its cluster and a dispatcher that makes the streams; 0s = leave at once")
	fl.DurationVar(&f.AckWait, "ack-wait", 30*time.Second, "how long a worker may be silent before its messages are redelivered; the same for all workers")
	fl.DurationVar(&f.DrainTimeout, "drain-timeout", 30*time.Second, "how long a stopping worker waits for what it executes")
	fl.StringVar(&f.Listen, "listen", "", "`address` of metrics and health checks; empty = none")
	fl.StringVar(&f.Trust, "trust", "", "`file` of the public keys that approvals are checked with, as 'dispatcher keys export' writes it, or such a line itself (default: the first that dispatchers publish, kept in --data-dir, and those that they vouch for)")
	fl.StringVar(&f.Passkeys, "passkeys", "", "`file` of the passkeys of approvers, as 'dispatcher passkeys export' writes it; read again when it changes (default: none, and what asks for a passkey is refused)")
	f.Work.add(fl)
	f.Faults.add(fl)
}
