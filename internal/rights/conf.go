package rights

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Conf writes the configuration of a server with these accounts. Passwords are read from the environment of the server.
func (l Layout) Conf(w io.Writer) error {
	var c conf
	c.line(confHead)
	c.line("accounts {")
	for _, a := range l.Accounts() {
		c.account(a)
	}
	c.line("  SYS { users: [] }")
	c.line("}")
	c.line("system_account: SYS")
	_, err := io.WriteString(w, c.String())
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// WriteAccounts writes accounts as they stand in the configuration of a server.
func WriteAccounts(w io.Writer, all []Account) error {
	var c conf
	for _, a := range all {
		c.account(a)
	}
	if _, err := io.WriteString(w, c.String()); err != nil {
		return fmt.Errorf("write the accounts: %w", err)
	}
	return nil
}

const (
	confAbout = "# Each password is in the environment of the server, see the users below. Put TLS in front of everything but the loopback.\n"
	jwtAbout  = "# Users show the files in creds. Put TLS in front of everything but the loopback.\n"
)

const confHead = "# A NATS server for Belay, with an account for each kind of program. Made by: dispatcher permissions\n" + confAbout + `server_name: belay-nats
listen: "127.0.0.1:4222"
jetstream {
  store_dir: /var/lib/nats
  sync_interval: always  # on disk before it is confirmed
}
max_payload: 1048576
`

// nowhere is where nobody listens.
const nowhere = "belay.nowhere.>"

type conf struct{ strings.Builder }

func (c *conf) line(text string) { c.WriteString(text + "\n") }

func (c *conf) account(a Account) {
	c.line("  " + a.Name + " {")
	if a.JetStream {
		c.line("    jetstream: enabled")
	}
	for _, u := range a.Users {
		c.user(u)
	}
	if len(a.Dead) > 0 {
		c.line("    mappings: {")
		for _, s := range a.Dead {
			c.line("      " + strconv.Quote(s) + ": " + strconv.Quote(nowhere))
		}
		c.line("    }")
	}
	list(c, "exports", a.Exports, Export.conf)
	list(c, "imports", a.Imports, Import.conf)
	c.line("  }")
}

func list[T any](c *conf, name string, all []T, text func(T) string) {
	if len(all) == 0 {
		return
	}
	c.line("    " + name + ": [")
	for _, v := range all {
		c.line("      " + text(v))
	}
	c.line("    ]")
}

func (c *conf) user(u User) {
	c.line("    users: [{")
	c.line("      # " + u.Role.About())
	c.line("      user: " + u.Name + ", password: $" + u.Variable())
	if u.Publish != nil {
		c.line("      permissions: {")
		c.subjects("publish", u.Publish, u.Deny)
		c.subjects("subscribe", u.Subscribe, nil)
		if u.Answers {
			c.line("        allow_responses: true")
		}
		c.line("      }")
	}
	c.line("    }]")
}

func (c *conf) subjects(verb string, allow, deny []string) {
	c.line("        " + verb + ": {allow: [")
	for _, s := range allow {
		c.line("          " + strconv.Quote(s))
	}
	end := "        ]"
	for _, s := range deny {
		end += ", deny: [" + strconv.Quote(s) + "]"
	}
	c.line(end + "}")
}

// Variable is the environment variable with the user's password.
func (u User) Variable() string {
	return "BELAY_NATS_" + strings.ToUpper(strings.ReplaceAll(u.Name, "-", "_"))
}

func (e Export) kind() string {
	if e.Stream {
		return "stream"
	}
	return "service"
}

func (e Export) conf() string {
	many := ""
	if e.Many {
		many = ", response_type: stream"
	}
	return fmt.Sprintf("{%s: %q%s, accounts: [%s]}", e.kind(), e.Subject, many, strings.Join(e.To, ", "))
}

func (i Import) conf() string {
	to := ""
	if i.Local != "" {
		to = fmt.Sprintf(", to: %q", i.Local)
	}
	return fmt.Sprintf("{%s: {account: %s, subject: %q}%s}", i.kind(), i.From, i.Subject, to)
}
