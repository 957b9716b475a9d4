package notify

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"belay/internal/outbound"
)

// Reach looks whether the other side of a channel answers, and notifies nobody: it connects, encrypts where the channel does, and
// waits for a mail server's greeting. Whether a notice would be accepted it cannot tell.
func Reach(ctx context.Context, c Channel) (seen string, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	switch c := c.(type) {
	case *email:
		return c.reach(ctx)
	case *slack:
		return c.reach(ctx)
	case *webhook:
		return c.reach(ctx)
	}
	return "", fmt.Errorf("nobody knows how to look whether it answers")
}

func (m *email) reach(ctx context.Context) (string, error) {
	at := net.JoinHostPort(m.server.Host, strconv.Itoa(m.server.Port))
	conn, err := m.dial(ctx, ctx, "tcp", at)
	if err != nil {
		return "", fmt.Errorf("the mail server does not answer: %w", err)
	}
	defer func() { _ = conn.Close() }()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("the mail server at %s does not greet: %w", at, err)
	}
	if !strings.HasPrefix(line, "220") {
		return "", fmt.Errorf("what answers at %s is no mail server that takes mail now", at)
	}
	return "the mail server at " + at + " answers; nothing was sent", nil
}

func (p *poster) reach(ctx context.Context) (string, error) {
	u, err := url.Parse(p.url)
	if err != nil {
		return "", fmt.Errorf("its URL cannot be read")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	at := net.JoinHostPort(u.Hostname(), port)
	conn, err := p.policy.Dialer(outbound.Written).DialContext(ctx, "tcp", at)
	if err != nil {
		return "", fmt.Errorf("it does not answer: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if u.Scheme == "https" {
		if err := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}).HandshakeContext(ctx); err != nil {
			return "", fmt.Errorf("%s: %w", at, err)
		}
	}
	return at + " answers; nothing was sent", nil
}
