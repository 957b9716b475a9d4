package dispatcher

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"

	"belay/internal/access"
	"belay/internal/cli"
	"belay/internal/engine"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/wire"
)

// devDoor lets in who asks `dev` over NATS: everybody whom NATS lets in, under the name that they give. An agent may be among
// them, so whoever shows neither the sign-in code nor a token is marked as local.
type devDoor struct {
	code   *access.Code
	tokens atomic.Pointer[access.Tokens] // nil while dev is starting
}

func (d *devDoor) letIn(_ context.Context, shown wire.Shown, name string) (people.Actor, error) {
	who, now := people.Trusted(name, ""), time.Now()
	if t := d.tokens.Load(); t != nil {
		now = t.Now()
		if owner, _, err := t.CheckShown(shown, now); err == nil {
			return owner, nil
		}
	}
	who.Local = shown.Nothing() || access.IsToken(shown.Token) || d.code.CheckShown(shown, now) != nil
	return who, nil
}

// fact is the one place where the code is told.
func (d *devDoor) fact(url string) cli.Fact {
	where := "in BELAY_API_TOKEN"
	if url != "" {
		where = "at " + url + "/login, or " + where
	}
	return cli.Fact{Name: "Sign-in", Text: d.code.Text() + "  (asked for when you decide what an agent does: " + where + ")"}
}

// signing decides through another process and, where that wants the sign-in code, asks for it at the terminal once.
type signing struct {
	engine.Actor
	app   *app
	asked bool
}

// decider is who carries out what is decided at this terminal.
func (a *app) decider(s *session) *signing { return &signing{Actor: s.People, app: a} }

// Act implements [engine.Actor].
func (s *signing) Act(ctx context.Context, who people.Actor, id string, act people.Act) (handoff.Done, error) {
	done, err := s.Actor.Act(ctx, who, id, act)
	remote, is := s.Actor.(handoff.Remote)
	if !errors.Is(err, handoff.ErrSignIn) || !is || s.asked {
		return done, err
	}
	in, ok := s.app.In.(*os.File)
	if !ok || !isatty.IsTerminal(in.Fd()) {
		return done, err
	}
	s.asked = true
	fmt.Fprint(s.app.Err, "It is about what an agent does. Sign-in code, from the terminal of `dispatcher dev`: ")
	line, _ := bufio.NewReader(in).ReadString('\n')
	if remote.Token = strings.TrimSpace(line); remote.Token == "" {
		return done, err
	}
	s.Actor = remote
	return s.Actor.Act(ctx, who, id, act)
}
