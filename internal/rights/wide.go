package rights

import (
	"log/slog"
	"slices"
	"strings"

	"belay/internal/bus"
	"belay/internal/wire"
)

// Wide is what a program may do on its server beyond its role, in words; nil if nothing. The server is not tried, it has said what it
// lets this user do. A server that is in the process of a program of Belay asks nobody who they are, and is meant for one machine.
func Wide(b *bus.Bus, r Role) []string {
	if b.Embedded() {
		return nil
	}
	return wide(b.User(), b.Names(), r)
}

// probe is something that a role may do or not.
type probe struct {
	subject string
	words   string
	whose   []Role // whose work it is
}

func probes(n wire.Names) []probe {
	return []probe{
		{"$KV." + n.KeysBucket() + ".x", "put keys that approvals are trusted by", []Role{Provisioner, Dispatcher}},
		{"$KV." + n.AccessBucket() + ".token.x", "make tokens", []Role{Provisioner, Dispatcher}},
		{"$JS.API.DIRECT.GET.KV_" + n.AccessBucket(), "read what is known of tokens", []Role{Provisioner, Dispatcher}},
		{n.Log(0, "x", wire.KindDecision), "decide", []Role{Provisioner, Dispatcher}},
		{n.Log(0, "x", wire.KindPlan), "start, cancel and steer runs without showing who they are", []Role{Provisioner, Dispatcher}},
		{n.Prefix + ".steps.x.x.x.x.0-0-1", "queue steps", []Role{Provisioner, Dispatcher}},
		{"$JS.API.STREAM.DELETE." + n.AuditStream(), "delete streams", []Role{Provisioner}},
		{"$JS.API.STREAM.UPDATE." + n.RunsStream(0), "change streams", []Role{Provisioner}},
		{"$JS.API.DIRECT.GET." + n.RunsStream(0), "have the server carry replies into streams, because these are in its own account", []Role{Provisioner}},
	}
}

func wide(u bus.User, n wire.Names, r Role) (may []string) {
	if !u.Known {
		return []string{"do what the server does not tell (it allows no request to " + userInfo + ")"}
	}
	for _, p := range probes(n) {
		if !slices.Contains(p.whose, r) && (!u.Limited || u.Publish.Allows(p.subject)) {
			may = append(may, p.words)
		}
	}
	return may
}

// Warn says in one line what a program may do beyond its role, and what to do about it.
func Warn(logger *slog.Logger, b *bus.Bus, r Role) {
	if may := Wide(b, r); len(may) > 0 {
		logger.Warn("this NATS account lets the "+string(r)+" do more than its work, and so whoever else connects with it: give each kind of program an account of its own (dispatcher permissions; `dispatcher docs permissions`)",
			"user", b.User().Name, "account", b.User().Account, "may", strings.Join(may, "; "))
	}
}
