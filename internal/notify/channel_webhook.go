package notify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// webhook posts events that are signed as the Standard Webhooks specification says. The id of an event is the notice's, so
// that a receiver recognises repeats.
type webhook struct {
	poster
	link    string
	now     atomic.Pointer[func() time.Time] // receivers refuse what was signed minutes ago, or in the future; nil = this machine's clock
	signers []*webhooks.Webhook              // each of them signs, so that secrets can be rotated
}

// What the specification says about secrets.
const (
	secretPrefix = "whsec_" // before the base64; optional
	leastSecret  = 24       // bytes
)

func newWebhook(target, link string, secrets []string) (*webhook, error) {
	w := &webhook{poster: newPoster(target), link: link}
	for _, s := range secrets {
		signer, err := signerOf(s)
		if err != nil {
			return nil, err
		}
		w.signers = append(w.signers, signer)
		w.secrets.Add("the secret", strings.TrimPrefix(s, secretPrefix))
	}
	return w, nil
}

// signerOf reads a secret: base64, with or without the prefix.
func signerOf(secret string) (*webhooks.Webhook, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil || len(raw) < leastSecret {
		return nil, fmt.Errorf("the secret is not base64 of at least %d bytes: make one with: echo whsec_$(openssl rand -base64 32)", leastSecret)
	}
	return webhooks.NewWebhookRaw(raw)
}

// event is the body, in the form of a CloudEvent.
type event struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Time        time.Time `json:"time"`
	Data        eventData `json:"data"`
}

// eventData has no parameters or outputs except those in the summary: people who read the channel may not be allowed to
// see them. Give a tool with confidential parameters a summary without them.
type eventData struct {
	Title    string     `json:"title"`
	Text     string     `json:"text"`
	Link     string     `json:"link"`
	IDs      []string   `json:"ids"`
	Count    int        `json:"count"`
	Waiting  int        `json:"waiting,omitempty"` // with those of earlier notices
	Kind     string     `json:"kind,omitempty"`
	Workflow string     `json:"workflow,omitempty"`
	Tool     string     `json:"tool,omitempty"`
	Class    string     `json:"class,omitempty"`
	Summary  string     `json:"summary,omitempty"`
	Deadline *time.Time `json:"deadline,omitempty"`
}

func (w *webhook) Send(ctx context.Context, n Notice) error {
	body, err := json.Marshal(w.event(n))
	if err != nil {
		return permanent("write event: %w", err)
	}
	now := time.Now()
	if clock := w.now.Load(); clock != nil {
		now = (*clock)()
	}
	header, err := w.signed(n.ID, now, body)
	if err != nil {
		return permanent("sign event: %w", err)
	}
	return w.post(ctx, body, header)
}

// goBy has it sign with another time than this machine's.
func (w *webhook) goBy(now func() time.Time) { w.now.Store(&now) }

func (w *webhook) event(n Notice) event {
	l := n.content(w.link)
	data := eventData{
		Title: l.Title, Text: l.text(), Link: l.Link, IDs: append([]string{}, n.IDs...), Count: n.Count, Waiting: n.Waiting,
		Kind: line(n.Kind, longestWord), Workflow: line(n.Workflow, longestWord), Tool: line(n.Tool, longestWord), Class: line(n.Class, longestWord), Summary: line(n.Summary, longestSummary),
	}
	if !n.Deadline.IsZero() {
		at := n.Deadline.UTC()
		data.Deadline = &at
	}
	return event{SpecVersion: "1.0", ID: n.ID, Source: w.link, Type: typeOf(n.What), Time: n.At.UTC(), Data: data}
}

// typeOf is a contract with receivers: there are fewer types than occasions.
func typeOf(w What) string {
	switch w {
	case Opened, More:
		return "dev.belay.escalation.opened.v1"
	case Expired:
		return "dev.belay.escalation.expired.v1"
	case Spiked:
		return "dev.belay.spike.begun.v1"
	case Calmed:
		return "dev.belay.spike.over.v1"
	case Trial:
		return "dev.belay.notify.trial.v1"
	}
	return "dev.belay.escalation.reminder.v1"
}

func (w *webhook) signed(id string, at time.Time, body []byte) (http.Header, error) {
	var all []string
	for _, s := range w.signers {
		signature, err := s.Sign(id, at, body)
		if err != nil {
			return nil, err
		}
		all = append(all, signature)
	}
	h := http.Header{}
	h.Set(webhooks.HeaderWebhookID, id)
	h.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(webhooks.HeaderWebhookSignature, strings.Join(all, " "))
	return h, nil
}
