package bus

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"belay/internal/wire"
)

// Right is something that a connection may or may not do.
type Right struct {
	Name    string // "write the log"
	May     bool   // it was not refused
	Unknown bool   // nobody has answered
}

// The names of rights by which it shows what a connection is for.
const (
	RightStreams  = "make, change and delete streams"
	RightLog      = "write the log"
	RightKeys     = "publish keys that approvals are checked with"
	RightTokens   = "write tokens"
	RightRead     = "read the log"
	RightConsume  = "make consumers of the log"
	RightWork     = "take steps from the queue"
	RightQueue    = "queue steps"
	RightAudit    = "write the audit trail"
	RightQuestion = "ask people"
)

// nowhere is what no stream is called: a message that says that it expects it is refused by the server, and never stored, and so is
// a request that names it for another stream.
const nowhere = "BELAY-NOWHERE"

// attempts are requests that change nothing whoever answers them: what they say is refused for what it says, if not for who says it.
func (b *Bus) attempts() []struct {
	right string
	m     *nats.Msg
} {
	n := b.names
	refused := nats.Header{"Nats-Expected-Stream": {nowhere}}
	kv := func(bucket string) string { return "$KV." + bucket + ".doctor" }
	call := func(subject, body string) *nats.Msg { return &nats.Msg{Subject: b.api(subject), Data: []byte(body)} }
	below := func(subjects string) string { return strings.TrimSuffix(subjects, ">") + "doctor" }
	publish := func(subject string) *nats.Msg { return &nats.Msg{Subject: subject, Header: refused} }
	return []struct {
		right string
		m     *nats.Msg
	}{
		{RightRead, call("DIRECT.GET."+n.RunsStream(0), `{"last_by_subj":"`+n.Log(0, "doctor", "none")+`"}`)},
		{RightLog, publish(b.ofLog(n.Log(0, "doctor", wire.KindClaim) + ".doctor.0-0-1"))},
		{RightWork, call("CONSUMER.MSG.NEXT."+n.StepsStream()+".doctor", "")},
		{RightQueue, publish(below(n.StepsSubjects()))},
		{RightQuestion, publish(below(n.EscalationsSubjects()))},
		{RightAudit, publish(n.AuditRecord())},
		{RightConsume, call("CONSUMER.CREATE."+n.RunsStream(0), `{"stream_name":"`+nowhere+`","config":{}}`)},
		{RightTokens, publish(kv(n.AccessBucket()))},
		{RightKeys, publish(kv(n.KeysBucket()))},
		{RightStreams, call("STREAM.UPDATE."+n.RunsStream(0), `{"name":"`+nowhere+`"}`)},
	}
}

// ofLog is a subject of the log that this user may write to, where the server lets it do so for some tools alone; else the one that is given.
func (b *Bus) ofLog(subject string) string {
	if b.MayPublish(subject) {
		return subject
	}
	for _, s := range b.user.Publish.Allow {
		if strings.HasPrefix(s, b.names.Prefix+".runs.*.*."+wire.KindClaim+".") {
			return strings.ReplaceAll(strings.Replace(s, "*", "0", 1), "*", "doctor")
		}
	}
	return subject
}

// rightsWait is how long the server has to answer, or to refuse.
const rightsWait = 2 * time.Second

// Rights finds out what this connection may do, and changes nothing.
func (b *Bus) Rights(ctx context.Context) []Right {
	ctx, cancel := context.WithTimeout(ctx, rightsWait)
	defer cancel()
	all := b.attempts()
	rights := make([]Right, len(all))
	var wg sync.WaitGroup
	for i, a := range all {
		wg.Go(func() { rights[i] = b.try(ctx, a.right, a.m) })
	}
	wg.Wait()
	return rights
}

func (b *Bus) try(ctx context.Context, right string, m *nats.Msg) Right {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	refused, forget := b.refusals.watch(m.Subject)
	defer forget()
	go func() {
		select {
		case <-refused:
			cancel()
		case <-ctx.Done():
		}
	}()
	_, err := b.nc.RequestMsgWithContext(ctx, m)
	select {
	case <-refused:
		return Right{Name: right}
	default:
	}
	answered := err == nil || errors.Is(err, nats.ErrNoResponders) // it is let through, and there is nothing
	return Right{Name: right, May: answered, Unknown: !answered}
}

// refusals are the subjects on which somebody wants to know whether the server refuses to publish.
type refusals struct {
	mu sync.Mutex
	of map[string]chan struct{}
}

func (r *refusals) watch(subject string) (refused <-chan struct{}, forget func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = map[string]chan struct{}{}
	}
	c, there := r.of[subject]
	if !there {
		c = make(chan struct{})
		r.of[subject] = c
	}
	return c, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.of, subject)
	}
}

// refusedSubject is where the server says what it refuses.
var refusedSubject = regexp.MustCompile(`(?i)publish to "([^"]+)"`)

// note takes an error of the connection; true if it is what somebody has waited for.
func (r *refusals) note(err error) bool {
	found := refusedSubject.FindStringSubmatch(err.Error())
	if !errors.Is(err, nats.ErrPermissionViolation) || found == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c, watched := r.of[found[1]]
	if watched {
		select {
		case <-c:
		default:
			close(c)
		}
	}
	return watched
}
