package bus

import "sync/atomic"

// Traffic is what a bus has done since it was connected. What it costs can be counted with it, where times would depend on
// the machine.
type Traffic struct {
	Sent, Received           uint64 // NATS messages, acknowledgements among them
	SentBytes, ReceivedBytes uint64 // of these, with headers
	Requests                 uint64 // messages that are answered: publishes to streams, and questions
	Stored                   uint64 // messages published to streams
	Commits                  uint64 // groups of these, or single ones, that went to disk at once: under full sync each takes one sync at least
}

// published counts what publishers store.
type published struct{ messages, commits atomic.Uint64 }

// count counts a group that a publisher sent. The step queue is in the server's memory.
func (p *publisher) count(messages, commits int) {
	p.published.messages.Add(uint64(messages))
	if p.stream != p.names.StepsStream() {
		p.published.commits.Add(uint64(commits))
	}
}

// Traffic returns the counts up to now.
func (b *Bus) Traffic() Traffic {
	s := b.nc.Stats()
	return Traffic{
		Sent: s.OutMsgs, Received: s.InMsgs, SentBytes: s.OutBytes, ReceivedBytes: s.InBytes,
		Requests: b.replies.last.Load(), Stored: b.published.messages.Load(), Commits: b.published.commits.Load(),
	}
}
