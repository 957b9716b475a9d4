package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// stored is the answer of the stream's leader to a request for one message.
type stored struct {
	Message *struct {
		Subject string    `json:"subject"`
		Seq     uint64    `json:"seq"`
		Header  []byte    `json:"hdrs"`
		Data    []byte    `json:"data"`
		Time    time.Time `json:"time"`
	} `json:"message"`
	refusal
}

// Last returns the newest message on a subject, wildcards allowed; ok is false if there is none. The stream's leader
// answers, so it is never an outdated one.
func (b *Bus) Last(ctx context.Context, stream, subject string) (e Entry, ok bool, err error) {
	if e, ok, err = b.ofLeader(ctx, stream, map[string]any{"last_by_subj": subject}); err != nil {
		return e, false, fmt.Errorf("last of %s in %s: %w", subject, stream, err)
	}
	return e, ok, nil
}

// LastOn is Last of exactly one subject, for programs that may read nothing else of the stream. Any replica answers, and may be behind.
func (b *Bus) LastOn(ctx context.Context, stream, subject string) (e Entry, ok bool, err error) {
	call := "DIRECT.GET." + stream + "." + subject
	if err := b.mayAsk(call); err != nil {
		return e, false, fmt.Errorf("last of %s in %s: %w", subject, stream, err)
	}
	m, err := insist(ctx, b, func(ctx context.Context) (*nats.Msg, error) { return b.nc.RequestWithContext(ctx, b.api(call), nil) })
	if err == nil && serverSays(m.Header, "Nats-Sequence") == "" {
		return e, false, directStatus(m)
	}
	if err == nil {
		e, err = directEntry(m)
	}
	if err != nil {
		return e, false, fmt.Errorf("last of %s in %s: %w", subject, stream, err)
	}
	return e, true, nil
}

// First returns the oldest message on a subject, wildcards allowed; ok is false if there is none.
func (b *Bus) First(ctx context.Context, stream, subject string) (e Entry, ok bool, err error) {
	return b.Next(ctx, stream, subject, 1)
}

// Next returns the oldest message on a subject, wildcards allowed, from a sequence on; ok is false if there is none.
func (b *Bus) Next(ctx context.Context, stream, subject string, from uint64) (e Entry, ok bool, err error) {
	if e, ok, err = b.ofLeader(ctx, stream, map[string]any{"seq": from, "next_by_subj": subject}); err != nil {
		return e, false, fmt.Errorf("first of %s in %s from %d on: %w", subject, stream, from, err)
	}
	return e, ok, nil
}

// At returns the message with a sequence; ok is false if there is none.
func (b *Bus) At(ctx context.Context, stream string, seq uint64) (e Entry, ok bool, err error) {
	if e, ok, err = b.ofLeader(ctx, stream, map[string]any{"seq": seq}); err != nil {
		return e, false, fmt.Errorf("message %d of %s: %w", seq, stream, err)
	}
	return e, ok, nil
}

// ofLeader asks the stream's leader for one message.
func (b *Bus) ofLeader(ctx context.Context, stream string, which map[string]any) (e Entry, ok bool, err error) {
	a, err := ask[stored](ctx, b, "STREAM.MSG.GET."+stream, which)
	if a.Error != nil && a.Error.ErrCode == codeNoMessage {
		return e, false, nil
	}
	if err == nil && a.Message == nil {
		err = errors.New("no message in the answer")
	}
	if err != nil {
		return e, false, err
	}
	m := a.Message
	e = Entry{Seq: m.Seq, Time: m.Time, Subject: m.Subject, Data: m.Data}
	if len(m.Header) > 0 {
		h, err := nats.DecodeHeadersMsg(m.Header)
		if err != nil {
			return e, false, fmt.Errorf("headers of message %d: %w", m.Seq, err)
		}
		e.Header = h
	}
	return e, true, nil
}

// Purge removes the messages that are on a subject now, wildcards allowed. It names the last of them to the server, which
// may be asked more than once: what is stored meanwhile stays.
func (b *Bus) Purge(ctx context.Context, stream, subject string) error {
	return b.purgeNow(ctx, stream, subject, 0)
}

// PurgeButLast is [Bus.Purge] for all messages but the last.
func (b *Bus) PurgeButLast(ctx context.Context, stream, subject string) error {
	return b.purgeNow(ctx, stream, subject, 1)
}

func (b *Bus) purgeNow(ctx context.Context, stream, subject string, keep uint64) error {
	if err := b.mayPurge(stream, subject); err != nil {
		return err
	}
	last, ok, err := b.Last(ctx, stream, subject)
	if err != nil || !ok {
		return err
	}
	return b.PurgeTo(ctx, stream, subject, last.Seq-keep)
}

// PurgeTo removes the messages on a subject up to and including a sequence.
func (b *Bus) PurgeTo(ctx context.Context, stream, subject string, seq uint64) error {
	if err := b.mayPurge(stream, subject); err != nil || seq == 0 {
		return err
	}
	_, err := ask[refusal](ctx, b, "STREAM.PURGE."+stream, map[string]any{"filter": subject, "seq": seq + 1})
	if err != nil {
		return fmt.Errorf("purge %s from %s: %w", subject, stream, err)
	}
	return nil
}

func (b *Bus) mayPurge(stream, subject string) error {
	if !strings.HasPrefix(subject, b.names.Prefix+".") {
		return fmt.Errorf("purge %q from %s: not one of Belay's subjects; nothing was removed", subject, stream)
	}
	return nil
}
