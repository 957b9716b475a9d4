package belay

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/bus"
)

// NATS says how to connect to a server; the fields mean the same as in the nats CLI.
type NATS struct {
	Server   string        // URLs with commas between
	Context  string        // a context of the nats CLI, in place of Server
	Creds    string        // credentials file
	NKey     string        // nkey seed file
	User     string        // user name
	Password string        // of User
	Token    string        // in place of a user
	TLSCert  string        // certificate file of this client
	TLSKey   string        // its key file
	TLSCA    string        // file with the authorities that may have signed the server's certificate
	Prefix   string        // of all subjects and streams; default "belay"
	Timeout  time.Duration // of one request; default 5 s
}

// Options say what a [Client] works on.
type Options struct {
	NATS
	// Conn is a connection to use instead of making one. The client does not close it, and uses only Prefix and Timeout of
	// NATS above. Open refuses a connection that was not made with nats.ReconnectBufSize(-1): with a buffer, a message that
	// was published during an outage is stored later, after Submit returned an error. Set nats.MaxReconnects(-1) as well if
	// outages may be long, and nats.PingInterval(2*time.Second) to notice a dead server within seconds; Open does not
	// require these.
	Conn     *nats.Conn
	APIToken string       // for Decide, and for runs where NATS does not let this program write logs; empty if the dispatcher requires none
	Logger   *slog.Logger // default: nothing is logged
	// OnClose is called once, at the end of Close; may be nil.
	OnClose func()
}

func (o Options) bus() bus.Options {
	b := o.NATS.bus("belay-client", o.Logger)
	b.Conn = o.Conn
	return b
}

func (n NATS) bus(name string, logger *slog.Logger) bus.Options {
	return bus.Options{
		Server: n.Server, Context: n.Context, Creds: n.Creds, NKey: n.NKey, User: n.User, Password: n.Password, Token: n.Token,
		TLSCert: n.TLSCert, TLSKey: n.TLSKey, TLSCA: n.TLSCA, Prefix: n.Prefix, Timeout: n.Timeout, Name: name, Logger: logger,
	}
}
