package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// User is who a connection is to its server, and what the server lets it do.
type User struct {
	Known     bool   // the server was asked and has answered
	Name      string // of the user; empty where nobody has to say who they are
	Account   string // of the server
	Limited   bool   // it may not do everything in its account
	Publish   Subjects
	Subscribe Subjects
}

// Subjects are those that are allowed, but for those that are denied; none allowed means all.
type Subjects struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny"`
}

// Allows reports whether a subject without wildcards is among them.
func (s Subjects) Allows(subject string) bool {
	is := func(pattern string) bool { return matches(pattern, subject) }
	return (len(s.Allow) == 0 || slices.ContainsFunc(s.Allow, is)) && !slices.ContainsFunc(s.Deny, is)
}

// matches reports whether a subject is one that a pattern stands for. What follows a blank in a pattern is a queue group.
func matches(pattern, subject string) bool {
	pattern, _, _ = strings.Cut(pattern, " ")
	for {
		p, restP, moreP := strings.Cut(pattern, ".")
		s, restS, moreS := strings.Cut(subject, ".")
		switch {
		case p == ">":
			return s != ""
		case p != "*" && p != s, moreP != moreS:
			return false
		case !moreP:
			return true
		}
		pattern, subject = restP, restS
	}
}

// ErrDenied says that the server does not let this user do something. Nothing was done.
var ErrDenied = errors.New("the NATS server does not allow that to this user")

// askWithin is how long a server has to say who a connection is to it. One that does not answer, or does not allow the question, does
// without.
const askWithin = 2 * time.Second

// whoami asks the server what it lets this connection do. Every user may ask that, unless somebody has forbidden it.
func whoami(ctx context.Context, nc *nats.Conn) User {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	m, err := askOrBeDenied(ctx, nc, "$SYS.REQ.USER.INFO")
	var answer struct {
		Data *struct {
			User        string `json:"user"`
			Account     string `json:"account"`
			Permissions *struct {
				Publish   Subjects `json:"publish"`
				Subscribe Subjects `json:"subscribe"`
			} `json:"permissions"`
		} `json:"data"`
	}
	if err != nil || json.Unmarshal(m.Data, &answer) != nil || answer.Data == nil {
		return User{}
	}
	u := User{Known: true, Name: answer.Data.User, Account: answer.Data.Account}
	if p := answer.Data.Permissions; p != nil {
		u.Limited, u.Publish, u.Subscribe = true, p.Publish, p.Subscribe
	}
	return u
}

// askOrBeDenied is a request that ends at once where the server does not allow it: a server says so on the connection, before it answers a
// ping that was sent later, and not to whoever asks.
func askOrBeDenied(ctx context.Context, nc *nats.Conn, subject string) (*nats.Msg, error) {
	inbox := nc.NewInbox()
	answers, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := nc.PublishRequest(subject, inbox, nil); err != nil {
		return nil, err
	}
	if err := nc.FlushWithContext(ctx); err != nil {
		return nil, err
	}
	if err := nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) {
		return nil, err
	}
	return answers.NextMsgWithContext(ctx)
}

// domain is the JetStream domain that a user's permissions name; empty if they name none, or the account has streams of its own.
func (u User) domain() string {
	for _, s := range u.Publish.Allow {
		t := strings.SplitN(s, ".", 4)
		if len(t) == 4 && t[0] == "$JS" && t[2] == "API" {
			return t[1]
		}
	}
	return ""
}

// User is who this connection is to the server.
func (b *Bus) User() User { return b.user }

// Embedded reports whether the server is one that a program of Belay has in its process: it asks nobody who they are, and only this
// machine reaches it.
func (b *Bus) Embedded() bool { return !b.user.Known && b.nc.ConnectedServerName() == EmbeddedName }

// EmbeddedName is the name of the server that programs of Belay have in their process.
const EmbeddedName = "belay"

// may returns an [ErrDenied] if the server would refuse a message on this subject.
func (b *Bus) may(subject string) error {
	if !b.user.Limited || b.user.Publish.Allows(subject) {
		return nil
	}
	return fmt.Errorf("%w: %s of account %s may not publish to %s (dispatcher permissions lists what each role may)", ErrDenied, b.user.Name, b.user.Account, subject)
}

// MayPublish reports whether the server lets this user publish on a subject.
func (b *Bus) MayPublish(subject string) bool { return b.may(subject) == nil }

// mayAsk is may for a call of the JetStream API.
func (b *Bus) mayAsk(call string) error { return b.may(b.api(call)) }
