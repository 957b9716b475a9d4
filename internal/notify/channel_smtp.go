package notify

import (
	"context"
	"crypto/tls"
	"html/template"
	"io"
	"net"

	"github.com/wneessen/go-mail"
)

// client is for one attempt. go-mail extends its time with every command, and reads lines of any length; the connection
// bounds both.
func (m *email) client(ctx context.Context) (*mail.Client, error) {
	options := []mail.Option{
		mail.WithPort(m.server.Port), mail.WithTimeout(sendTimeout), mail.WithoutNoop(),
		mail.WithTLSPolicy(m.policy()), mail.WithTLSConfig(m.tlsConfig()),
		mail.WithDialContextFunc(func(dialing context.Context, network, address string) (net.Conn, error) {
			return m.dial(dialing, ctx, network, address)
		}),
	}
	if m.user != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.user), mail.WithPassword(m.password))
	}
	return mail.NewClient(m.server.Host, options...)
}

// policy: what is encrypted from the first byte on has no need of STARTTLS, and does not offer it; go-mail then looks at
// the connection to learn that passwords are safe.
func (m *email) policy() mail.TLSPolicy {
	switch m.server.TLS {
	case "tls":
		return mail.TLSOpportunistic
	case "none":
		return mail.NoTLS
	}
	return mail.TLSMandatory
}

func (m *email) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: m.server.Host, RootCAs: m.roots, MinVersion: tls.VersionTLS12}
}

// dial makes a connection that lives no longer than the whole attempt.
func (m *email) dial(dialing, attempt context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(dialing, network, address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(attempt, func() { _ = conn.Close() })
	limited := &limitedConn{conn, io.LimitReader(conn, mailAnswerBytes)}
	if m.server.TLS != "tls" {
		return limited, nil
	}
	secure := tls.Client(limited, m.tlsConfig())
	return secure, secure.HandshakeContext(dialing)
}

// mailAnswerBytes is how much a server may say in one connection; certificates are most of it.
const mailAnswerBytes = 256 << 10

// limitedConn reads so much and not more.
type limitedConn struct {
	net.Conn
	limited io.Reader
}

func (c *limitedConn) Read(b []byte) (int, error) { return c.limited.Read(b) }

// mailTemplate is the mail for programs that show HTML. It loads nothing from anywhere.
func mailTemplate() *template.Template {
	return template.Must(template.New("mail").Parse(`<!DOCTYPE html>
<html><body style="font-family: sans-serif">
<h2 style="font-size: 1.1em">{{.Title}}</h2>
<table>{{range .Facts}}
<tr><td style="color: #555; padding-right: 1em">{{.Name}}</td><td>{{.Value}}</td></tr>{{end}}
</table>
{{with .Quote}}<pre style="white-space: pre-wrap; border-left: 3px solid #aaa; padding-left: 1em">{{.}}</pre>
{{end}}<p><a href="{{.Link}}">Open in Belay</a></p>
</body></html>
`))
}
