package notify

import (
	"context"
	"crypto/tls"
	"html/template"
	"io"
	"net"

	"github.com/wneessen/go-mail"

	"belay/internal/outbound"
)

// client makes the client for one attempt. go-mail extends its timeout with every command, and reads lines of any length;
// the connection bounds both.
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

// policy returns the STARTTLS policy. A connection that is encrypted from the start neither needs nor offers STARTTLS;
// go-mail then looks at the connection to decide whether a password is safe.
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

// through has it connect as the policy says.
func (m *email) through(policy outbound.Policy) { m.outbound = policy }

// dial makes a connection that ends with the attempt.
func (m *email) dial(dialing, attempt context.Context, network, address string) (net.Conn, error) {
	conn, err := m.outbound.Dialer(outbound.Written).DialContext(dialing, network, address)
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

// mailAnswerBytes bounds what is read from a server in one connection; most of it are certificates.
const mailAnswerBytes = 256 << 10

// limitedConn bounds how much can be read from a connection.
type limitedConn struct {
	net.Conn
	limited io.Reader
}

func (c *limitedConn) Read(b []byte) (int, error) { return c.limited.Read(b) }

// mailTemplate is the mail for programs that show HTML. It loads no external resources.
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
