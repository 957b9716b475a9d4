// Package rights knows what each kind of program may do on a NATS server, and writes it down as the configuration of one: as a
// file, and as JWTs. The subjects are those of package wire, so that the two cannot drift.
//
// Every role has an account of its own, and the streams are in another one, the store's. Permissions inside one account would not
// do: a server carries a reply to whatever subject the request names, with its own rights. Whoever may store a message and read it
// again could have it delivered to a bucket of tokens, or have a stream deleted, without ever being allowed to publish there. Between
// accounts only what is exported and imported crosses, replies included.
package rights

import (
	"fmt"
	"slices"
	"strings"

	"belay/internal/wire"
)

// Role is a kind of program.
type Role string

// The roles.
const (
	Provisioner Role = "provisioner" // makes tokens and streams, revokes keys: unrestricted within the store
	Dispatcher  Role = "dispatcher"  // `dispatcher serve`
	Worker      Role = "worker"      // `worker`
	Submitter   Role = "submitter"   // `dispatcher run`, programs with the Go package
	Desk        Role = "desk"        // people who decide: `dispatcher esc`
	Reader      Role = "reader"      // looks, and changes nothing
)

// Roles are all of them.
func Roles() []Role { return []Role{Provisioner, Dispatcher, Worker, Submitter, Desk, Reader} }

// About says what a role is for.
func (r Role) About() string {
	return map[Role]string{
		Provisioner: "makes streams and tokens, revokes keys; unrestricted within the store",
		Dispatcher:  "moves runs on and carries out what people decide: dispatcher serve",
		Worker:      "executes steps: worker",
		Submitter:   "starts runs and follows them: dispatcher run, Go programs",
		Desk:        "looks, and asks dispatchers for what people decide: dispatcher esc",
		Reader:      "looks, and changes nothing: dispatcher runs ls",
	}[r]
}

// Known reports whether there is such a role.
func (r Role) Known() bool { return slices.Contains(Roles(), r) }

// Rung is a queue of steps.
type Rung struct{ Tool, Name string }

// Group is a group of workers with an account of its own.
type Group struct {
	Name  string // of its user, and in the name of its account
	Rungs []Rung // that it serves; nil = all
}

// Layout is an installation.
type Layout struct {
	Names      wire.Names
	Partitions int     // of the log
	Workers    []Group // nil = one group, which serves everything
}

// User is somebody who connects.
type User struct {
	Name      string   `json:"name"`
	Role      Role     `json:"role"`
	Account   string   `json:"account"`
	Publish   []string `json:"publish"`        // what it may publish to; nil = everything in its account
	Subscribe []string `json:"subscribe"`      // what it may subscribe to; nil = everything in its account
	Deny      []string `json:"deny,omitempty"` // what it may not publish to, although it is in Publish
	Answers   bool     `json:"answers"`        // it may answer what it was asked
}

// Account is an account of the server.
type Account struct {
	Name      string   `json:"name"`
	JetStream bool     `json:"jetstream"` // the streams are here
	Users     []User   `json:"users"`
	Exports   []Export `json:"exports,omitempty"`
	Imports   []Import `json:"imports,omitempty"`

	// Dead are subjects that lead nowhere, for everybody and for replies too.
	Dead []string `json:"dead,omitempty"`
}

// Export is what an account lets others have.
type Export struct {
	Subject string   `json:"subject"`
	Stream  bool     `json:"stream"`       // messages to listen to; else requests to answer
	Many    bool     `json:"many"`         // a request may have several answers
	To      []string `json:"to,omitempty"` // the accounts that may import it
}

// Import is what an account has of another.
type Import struct {
	Export
	From  string `json:"from"`            // the account
	Local string `json:"local,omitempty"` // what it is called here; empty = as there
}

// here is what the subject is called in the account that imports it.
func (i Import) here() string {
	if i.Local != "" {
		return i.Local
	}
	return i.Subject
}

func (l Layout) account(kind string) string {
	return strings.ToUpper(strings.ReplaceAll(l.Names.Prefix, ".", "_")) + "_" + kind
}

// store is the account with the streams.
func (l Layout) store() string { return l.account("STORE") }

// Domain is the JetStream domain under which the accounts without streams see those of the store.
func (l Layout) Domain() string { return Domain(l.Names) }

// Domain is the JetStream domain of an installation with this prefix.
func Domain(n wire.Names) string { return strings.ToUpper(strings.ReplaceAll(n.Prefix, ".", "_")) }

// groups are the groups of workers.
func (l Layout) groups() []Group {
	if len(l.Workers) == 0 {
		return []Group{{Name: string(Worker)}}
	}
	return l.Workers
}

func (l Layout) accountOf(g Group) string {
	if g.Name == string(Worker) {
		return l.account("WORKER")
	}
	return l.account("WORKER_" + strings.ToUpper(strings.ReplaceAll(g.Name, "-", "_")))
}

// Check returns an error for a layout that no server could have.
func (l Layout) Check() error {
	used := map[string]bool{}
	for _, g := range l.groups() {
		name := l.accountOf(g)
		if !wire.ValidName(g.Name) || used[name] {
			return fmt.Errorf("workers %q: a name has letters, digits, - and _, and no two groups the same", g.Name)
		}
		for _, r := range Roles() {
			if r != Worker && g.Name == string(r) {
				return fmt.Errorf("workers %q: that is the name of a role", g.Name)
			}
		}
		used[name] = true
	}
	if l.Partitions < 1 {
		return fmt.Errorf("%d partitions: at least one", l.Partitions)
	}
	return nil
}

// Accounts are all accounts, that of the store first.
func (l Layout) Accounts() []Account {
	all := []Account{
		{Name: l.store(), JetStream: true, Dead: l.dead(), Users: []User{{Name: string(Provisioner), Role: Provisioner, Account: l.store()}}},
		l.restricted(Dispatcher, string(Dispatcher), l.account("DISPATCHER"), l.dispatcher()),
	}
	for _, g := range l.groups() {
		all = append(all, l.restricted(Worker, g.Name, l.accountOf(g), l.worker(g)))
	}
	all = append(all,
		l.restricted(Submitter, string(Submitter), l.account("SUBMITTER"), l.submitter()),
		l.restricted(Desk, string(Desk), l.account("DESK"), l.desk()),
		l.restricted(Reader, string(Reader), l.account("READER"), l.reader()))
	return exported(all)
}

// dead are the subjects at which somebody who may follow a log could give the dispatcher's consumer another filter, so that it would see
// nothing of most runs. It has none, so no program of Belay asks there.
func (l Layout) dead() (all []string) {
	for _, s := range l.log() {
		all = append(all, "$JS.API.CONSUMER.CREATE."+s+"."+wire.DispatcherConsumer+".>")
	}
	return all
}

// own is what a role does in its own account, beside what it imports.
type own struct {
	publish, subscribe []string
	answers            bool
}

// restricted is an account whose user may do what it imports and what is its own, and nothing else.
func (l Layout) restricted(r Role, user, account string, g granted) Account {
	u := User{Name: user, Role: r, Account: account, Publish: []string{userInfo}, Subscribe: []string{"_INBOX.>"}, Answers: g.answers}
	for _, i := range g.imports {
		if i.Stream {
			u.Subscribe = append(u.Subscribe, i.here())
		} else {
			u.Publish = append(u.Publish, i.here())
		}
	}
	if r != Dispatcher {
		u.Deny = []string{"$JS." + l.Domain() + ".API.CONSUMER.MSG.NEXT.*." + wire.DispatcherConsumer}
	}
	u.Publish, u.Subscribe = tidy(append(u.Publish, g.publish...)), tidy(append(u.Subscribe, g.subscribe...))
	return Account{Name: account, Users: []User{u}, Imports: g.imports}
}

func tidy(subjects []string) []string {
	slices.Sort(subjects)
	return slices.Compact(subjects)
}

// userInfo is where every connection may ask what it may do.
const userInfo = "$SYS.REQ.USER.INFO"

// exported adds to each account what the others import from it. An export may cover more than what is imported: what an account has is
// what it imports, and only who configures the server decides that.
func exported(all []Account) []Account {
	at := map[string]int{}
	for n := range all {
		at[all[n].Name] = n
	}
	for _, a := range all {
		for _, i := range a.Imports {
			all[at[i.From]].export(i, a.Name)
		}
	}
	return all
}

func (a *Account) export(i Import, to string) {
	wide := wider(i.Subject)
	k := slices.IndexFunc(a.Exports, func(e Export) bool { return e.Subject == wide })
	if k < 0 {
		k = len(a.Exports)
		a.Exports = append(a.Exports, Export{Subject: wide, Stream: i.Stream, Many: i.Many})
	}
	if e := &a.Exports[k]; !slices.Contains(e.To, to) {
		e.To = append(e.To, to)
	}
}

// wider is the subject with all of its kind: the servers look long at many exports.
func wider(subject string) string {
	if call, ok := strings.CutPrefix(subject, "$JS.API."); ok {
		for _, kind := range []string{"DIRECT.GET.", "STREAM.MSG.GET.", "STREAM.INFO.", "STREAM.CREATE.", "STREAM.PURGE.", "CONSUMER.CREATE.", "CONSUMER.INFO.", "CONSUMER.MSG.NEXT.", "CONSUMER.DELETE.", "CONSUMER.LIST.", "CONSUMER.UNPIN."} {
			if strings.HasPrefix(call, kind) {
				return "$JS.API." + kind + ">"
			}
		}
		return subject
	}
	for _, kind := range []string{"$JS.ACK.", "$KV."} {
		if strings.HasPrefix(subject, kind) {
			return kind + ">"
		}
	}
	if head, _, ok := strings.Cut(subject, ".runs."); ok {
		return head + ".runs.>"
	}
	return subject
}
