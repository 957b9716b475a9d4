package notify

import (
	"context"
	"strings"
	"time"

	"belay/internal/score"
)

// spikes sends a notice of each spike that has begun or is over, to the first tier: once, whoever judges and whoever notifies.
func (l *loop) spikes(ctx context.Context, now time.Time) {
	all, err := score.Spikes(ctx, l.Bus)
	if err != nil {
		l.Logger.Debug("cannot see what is unusual; trying again", "error", err)
		return
	}
	for _, s := range score.ToNotify(all) {
		n := l.Policy.spikeNotice(s, now)
		l.mu.Lock()
		_, under := l.flights[n.ID]
		if !under {
			l.flights[n.ID] = &outgoing{spike: &s}
		}
		l.mu.Unlock()
		if !under {
			l.sender.Send(n)
		}
	}
}

func (p Policy) spikeNotice(s score.Spike, now time.Time) Notice {
	what := Spiked
	if !s.Over.IsZero() {
		what = Calmed
	}
	t := &p.Tiers[0]
	return Notice{
		ID: name("spike", s.ID, instant(s.Since), string(what)), What: what, Tier: t.Name, Channels: t.Notify, Spare: p.spare(*t), At: now,
		Tool: s.Tool, Kind: string(s.Kind), Spike: &s,
	}
}

// spikeContent is what people read of a spike.
func (n *Notice) spikeContent(base string) content {
	c := content{Title: "Spike: " + line(n.Spike.Text, longestSummary), Link: strings.TrimSuffix(base, "/") + "/how", Facts: []fact{{"Since", written(n.Spike.Since)}}}
	if n.What == Calmed {
		c.Title = "As usual again: " + line(n.Spike.Text, longestSummary)
		c.Facts = append(c.Facts, fact{"Over", written(n.Spike.Over)})
		return c
	}
	c.Quote = clean(n.Spike.Quote, longestMessage)
	return c
}
