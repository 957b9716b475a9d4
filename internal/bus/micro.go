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

// Instance is a process that has announced itself, and what it says of itself now.
type Instance struct {
	ID      string
	Started time.Time
	About   map[string]string
	State   json.RawMessage
}

// Announce makes this process an instance of a NATS service (`nats micro ls` shows it) that says state of itself to
// whoever asks, until gone is called. The version should be a semantic one; another stands in about alone.
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
			b.log.Debug("a question about this process was not answered", "error", err)
		}
	})
	subject := b.names.Prefix + "." + name + "." + s.Info().ID
	if err := s.AddEndpoint("state", answer, micro.WithEndpointSubject(subject)); err != nil {
		return nil, fmt.Errorf("announce %s: %w", name, errors.Join(b.away(err), s.Stop()))
	}
	return func() { _ = s.Stop() }, nil // what is left of it ends with the connection
}

var semantic = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

// How long answers are waited for: after the last one, and in all.
const (
	quiet   = 100 * time.Millisecond
	longest = time.Second
)

// Discover asks all instances of a service what they say of themselves. Who does not answer soon is left out.
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
	for wait := longest; ; wait = quiet { // the first answer may be far away
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

// isNobody reports the server's word that nobody listens.
func isNobody(m *nats.Msg) bool { return len(m.Data) == 0 && m.Header.Get("Status") == "503" }

func instance(data []byte) (Instance, bool) {
	var s micro.Stats
	if json.Unmarshal(data, &s) != nil || len(s.Endpoints) != 1 {
		return Instance{}, false
	}
	return Instance{ID: s.ID, Started: s.Started, About: s.Metadata, State: s.Endpoints[0].Data}, true
}
