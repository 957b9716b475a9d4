package notify

import (
	"context"
	"crypto/x509"
	"errors"
	"net/textproto"
	"strings"

	"github.com/wneessen/go-mail"

	"belay/internal/executor"
	"belay/internal/outbound"
)

// mailServer is a mail server with the addresses that it sends to.
type mailServer struct {
	Host string
	Port int
	TLS  string // starttls, tls or none
	From string
	To   []string
}

// email sends a separate mail to each recipient: a server that refuses one address refuses the whole message, and then the
// others would not be notified.
type email struct {
	server   mailServer
	channel  string
	link     string
	user     string
	password string
	secrets  *executor.Secrets // what no error may contain
	roots    *x509.CertPool    // trusted authorities; nil = the system's
	outbound outbound.Policy   // how the server is reached
}

func newEmail(channel, link string, server mailServer, user, password string) *email {
	m := &email{server: server, channel: channel, link: link, user: user, password: password, secrets: &executor.Secrets{}}
	m.secrets.Add("the user name", user)
	m.secrets.Add("the password", password)
	return m
}

// Send succeeds if everybody got the mail. If only some did, the failure is permanent: sending again would notify those
// twice.
func (m *email) Send(ctx context.Context, n Notice) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	messages, err := m.messages(n)
	if err != nil {
		return permanent("write mail: %s", m.hidden(err))
	}
	client, err := m.client(ctx)
	if err != nil {
		return permanent("set up mail: %s", m.hidden(err))
	}
	return m.result(messages, client.DialAndSendWithContext(ctx, messages...))
}

// result looks at the messages first: an error while the connection closes does not matter once they are accepted.
func (m *email) result(messages []*mail.Msg, err error) error {
	var refused []string
	delivered, temporary := 0, false
	for i, msg := range messages {
		switch sent := msg.SendError(); {
		case msg.IsDelivered():
			delivered++
		case sent != nil:
			temporary = temporary || passes(sent)
			refused = append(refused, m.server.To[i]+": "+m.hidden(sent))
		}
	}
	switch {
	case delivered == len(messages):
		return nil
	case delivered > 0:
		return permanent("only %d of %d recipients got the mail: %s", delivered, len(messages), strings.Join(refused, "; "))
	case len(refused) > 0:
		return &Failure{Temporary: temporary, Err: errors.New(strings.Join(refused, "; "))}
	}
	return &Failure{Temporary: passes(err), Err: errors.New(m.hidden(err))}
}

// passes reports whether a later attempt may succeed: the server did not refuse with a 5xx.
func passes(err error) bool {
	if sent, ok := errors.AsType[*mail.SendError](err); ok && sent.ErrorCode() != 0 {
		return sent.ErrorCode() < 500
	}
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		return answer.Code < 500
	}
	return true
}

func (m *email) hidden(err error) string {
	if err == nil {
		return "the server accepted no mail and gave no reason"
	}
	return line(m.secrets.Redact(err.Error()), 300)
}

func (m *email) messages(n Notice) ([]*mail.Msg, error) {
	var all []*mail.Msg
	for _, to := range m.server.To {
		msg, err := m.message(n, to)
		if err != nil {
			return nil, err
		}
		all = append(all, msg)
	}
	return all, nil
}

func (m *email) message(n Notice, to string) (*mail.Msg, error) {
	l := n.content(m.link)
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := errors.Join(msg.From(m.server.From), msg.To(to)); err != nil {
		return nil, err
	}
	msg.Subject("[Belay] " + line(l.Title, longestSubject))
	msg.SetDateWithValue(n.At)
	msg.SetMessageIDWithValue(n.ID + "@" + m.domain())
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader(mail.HeaderXAutoResponseSuppress, "All")
	msg.SetGenHeader("List-Id", "<"+m.channel+".belay."+m.domain()+">")
	msg.SetBodyString(mail.TypeTextPlain, l.text()+"\n"+l.Link+"\n")
	return msg, msg.AddAlternativeHTMLTemplate(mailTemplate(), l)
}

// longestSubject is more than mail programs show of a subject, in characters.
const longestSubject = 180

// domain returns the sender's domain.
func (m *email) domain() string {
	at := strings.LastIndexByte(m.server.From, '@')
	return strings.Trim(m.server.From[at+1:], "> ")
}
