package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Instance is a process that has announced itself, with its present state.
type Instance struct {
	ID      string            // new with every announcement
	Started time.Time         // when it announced itself, by its own clock
	About   map[string]string // as of the announcement
	State   json.RawMessage   // its present state; null if it reports none
}

// Announce makes this process an instance of a NATS service (`nats micro ls` shows it) that reports its state to whoever
// asks, until gone is called. A version that is not a semantic one is only in about.
func (b *Bus) Announce(name, version, description string, about map[string]string, state func() any) (gone func(), err error) {
	if !semantic.MatchString(version) {
		version = "0.0.0"
	}
	s, err := micro.AddService(b.nc, micro.Config{
		Name: name, Version: version, Description: description, Metadata: about, StatsHandler: func(*micro.Endpoint) any { return state() },
	})
	if err != nil {
		return nil, fmt.Errorf("announce %s: %w", name, b.away(err))
	}
	answer := micro.HandlerFunc(func(r micro.Request) {
		if err := r.RespondJSON(state()); err != nil {
			b.logger.Debug("could not report the state of this process", "error", err)
		}
	})
	subject := b.names.Prefix + "." + name + "." + s.Info().ID
	if err := s.AddEndpoint("state", answer, micro.WithEndpointSubject(subject)); err != nil {
		return nil, fmt.Errorf("announce %s: %w", name, errors.Join(b.away(err), s.Stop()))
	}
	return func() { _ = s.Stop() }, nil // otherwise it ends with the connection
}

var semantic = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

// How long to wait for answers: after the last one, and in all.
const (
	quiet   = 100 * time.Millisecond
	longest = time.Second
)

// Discover asks all instances of a service for their state. Those that do not answer soon are left out.
func (b *Bus) Discover(ctx context.Context, name string) ([]Instance, error) {
	inbox := b.nc.NewRespInbox()
	sub, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", name, b.away(err))
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := b.nc.PublishRequest(micro.APIPrefix+".STATS."+name, inbox, nil); err != nil {
		return nil, fmt.Errorf("ask for %s: %w", name, b.away(err))
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	var all []Instance
	for wait := longest; ; wait = quiet { // the first answer may take longer
		next, stop := context.WithTimeout(ctx, wait)
		m, err := sub.NextMsgWithContext(next)
		stop()
		if err != nil || isNobody(m) {
			return all, nil
		}
		if it, ok := instance(m.Data); ok {
			all = append(all, it)
		}
	}
}

// isNobody reports whether a message is the server's answer that there are no responders.
func isNobody(m *nats.Msg) bool { return len(m.Data) == 0 && m.Header.Get("Status") == "503" }

func instance(data []byte) (Instance, bool) {
	var s micro.Stats
	if json.Unmarshal(data, &s) != nil || len(s.Endpoints) != 1 {
		return Instance{}, false
	}
	return Instance{ID: s.ID, Started: s.Started, About: s.Metadata, State: s.Endpoints[0].Data}, true
}
