package rights_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"belay/internal/bus"
	"belay/internal/rights"
	"belay/internal/wire"
)

// layout is what the tests use, unless they say otherwise.
var layout = rights.Layout{Names: wire.Default, Partitions: 2}

// password is the password of a user in the tests.
func password(user string) string { return "pw-" + user }

// startConf starts a real server with a configuration, on the loopback, with a store of its own.
func startConf(t testing.TB, text string, replace ...string) *server.Server {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "nats.conf")
	text = strings.ReplaceAll(text, `"127.0.0.1:4222"`, `"127.0.0.1:-1"`)
	text = strings.ReplaceAll(text, "/var/lib/nats", filepath.Join(dir, "store"))
	text = strings.NewReplacer(replace...).Replace(text)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o.NoLog, o.NoSigs = true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not accept connections")
	}
	return s
}

// place is a server, and how its users connect.
type place struct {
	*server.Server
	creds string // folder of the users' credentials; empty = they have passwords
}

// startJWTs starts a server with the accounts of a layout as JWTs.
func startJWTs(t testing.TB, l rights.Layout) place {
	t.Helper()
	dir := t.TempDir()
	if _, err := l.JWTs(dir); err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile(filepath.Join(dir, "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	return place{startConf(t, string(conf), "operator.jwt", filepath.Join(dir, "operator.jwt")), filepath.Join(dir, "creds")}
}

// startLayout starts a server with the accounts of a layout.
func startLayout(t testing.TB, l rights.Layout) place {
	t.Helper()
	var text bytes.Buffer
	if err := l.Conf(&text); err != nil {
		t.Fatal(err)
	}
	conf := text.String()
	for _, a := range l.Accounts() {
		for _, u := range a.Users {
			conf = strings.ReplaceAll(conf, "$"+u.Variable()+"\n", password(u.Name)+"\n")
		}
	}
	return place{Server: startConf(t, conf)}
}

// startWider starts a server with the accounts of the layout, of which that of a role may publish to some subjects of the store more.
func startWider(t *testing.T, role rights.Role, subjects []string) place {
	t.Helper()
	all := layout.Accounts()
	store := all[0].Name
	for n := range all {
		if all[n].Users[0].Role != role {
			continue
		}
		for _, s := range subjects {
			e := rights.Export{Subject: s, To: []string{all[n].Name}}
			all[n].Imports = append(all[n].Imports, rights.Import{Export: e, From: store})
			k := slices.IndexFunc(all[0].Exports, func(e rights.Export) bool { return strings.HasPrefix(s, strings.TrimSuffix(e.Subject, ">")) })
			if k < 0 {
				all[0].Exports = append(all[0].Exports, e)
			} else {
				all[0].Exports[k].To = append(all[0].Exports[k].To, all[n].Name)
			}
			all[n].Users[0].Publish = append(all[n].Users[0].Publish, s)
		}
	}
	var accounts bytes.Buffer
	if err := rights.WriteAccounts(&accounts, all); err != nil {
		t.Fatal(err)
	}
	conf := accounts.String()
	for _, a := range all {
		conf = strings.ReplaceAll(conf, "$"+a.Users[0].Variable()+"\n", password(a.Users[0].Name)+"\n")
	}
	return place{Server: startConf(t, "listen: \"127.0.0.1:4222\"\njetstream { store_dir: /var/lib/nats }\naccounts {\n"+conf+"  SYS { users: [] }\n}\nsystem_account: SYS\n")}
}

// as is how a user connects.
func as(s place, user string, log *complaints) bus.Options {
	o := bus.Options{Server: s.ClientURL(), Name: user, Timeout: 5 * time.Second, Logger: slog.New(log)}
	if s.creds != "" {
		o.Creds = filepath.Join(s.creds, user+".creds")
	} else {
		o.User, o.Password = user, password(user)
	}
	return o
}

// complaints are what the server has refused to somebody.
type complaints struct {
	mu   sync.Mutex
	all  []string
	seen map[string]bool
}

func (c *complaints) Enabled(context.Context, slog.Level) bool { return true }
func (c *complaints) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c *complaints) WithGroup(string) slog.Handler            { return c }

func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	if !strings.Contains(strings.ToLower(text), "permission") && !strings.Contains(text, bus.ErrDenied.Error()) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	if !c.seen[text] {
		c.seen[text] = true
		c.all = append(c.all, text)
	}
	return nil
}

func (c *complaints) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

// dial is a plain connection of a user.
func dial(t *testing.T, s place, user string) *nats.Conn {
	t.Helper()
	who := nats.UserInfo(user, password(user))
	if s.creds != "" {
		who = nats.UserCredentials(filepath.Join(s.creds, user+".creds"))
	}
	nc, err := nats.Connect(s.ClientURL(), who, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}
