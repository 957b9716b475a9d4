package notify

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// postOffice is a mail server of a few lines. Answers replace what it says to a command, named by its whole text or by
// its first word; one that begins with a dash hangs up.
type postOffice struct {
	answers  map[string]string
	implicit bool // TLS from the first byte on
	noTLS    bool // not even STARTTLS
	tls      *tls.Config
	roots    *x509.CertPool
	listener net.Listener

	mu    sync.Mutex
	said  []string // by clients, after STARTTLS with an s before it
	mails []string
}

func newPostOffice(t *testing.T, set func(*postOffice)) *postOffice {
	t.Helper()
	web := httptest.NewTLSServer(nil) // for its certificate
	web.Close()
	p := &postOffice{answers: map[string]string{}, roots: x509.NewCertPool(), tls: &tls.Config{Certificates: web.TLS.Certificates}}
	p.roots.AddCert(web.Certificate())
	if set != nil {
		set(p)
	}
	var err error
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() { p.accept(&open) })
	t.Cleanup(func() { p.listener.Close(); open.Wait() })
	return p
}

func (p *postOffice) accept(open *sync.WaitGroup) {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		open.Go(func() {
			defer conn.Close()
			if p.implicit {
				conn = tls.Server(conn, p.tls)
			}
			p.serve(conn)
		})
	}
}

func (p *postOffice) serve(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	r, prefix := bufio.NewReader(conn), ""
	if !p.answer(conn, "", "220 office.example.com ESMTP") {
		return
	}
	for {
		text, err := r.ReadString('\n')
		if err != nil {
			return
		}
		text = strings.TrimSpace(text)
		p.note(prefix + text)
		word, _, _ := strings.Cut(text, " ")
		switch word {
		case "EHLO":
			p.answer(conn, text, p.greeting(prefix))
		case "STARTTLS":
			if !p.answer(conn, text, "220 go") {
				return
			}
			conn = tls.Server(conn, p.tls)
			r, prefix = bufio.NewReader(conn), "s "
		case "DATA":
			if p.answer(conn, text, "354 go") && !p.take(conn, r) {
				return
			}
		case "AUTH":
			p.answer(conn, text, "235 welcome")
		case "QUIT":
			p.answer(conn, text, "221 bye")
			return
		default:
			if !p.answer(conn, text, "250 ok") {
				return
			}
		}
	}
}

func (p *postOffice) greeting(prefix string) string {
	lines := []string{"office.example.com", "AUTH PLAIN LOGIN"}
	if prefix == "" && !p.noTLS && !p.implicit {
		lines = append(lines, "STARTTLS")
	}
	return "250-" + strings.Join(lines, "\r\n250-") + "\r\n250 SIZE 1000000"
}

// answer reports whether to go on.
func (p *postOffice) answer(conn net.Conn, command, usual string) bool {
	word, _, _ := strings.Cut(command, " ")
	for _, key := range []string{command, word} {
		if special, ok := p.answers[key]; ok {
			usual = special
			break
		}
	}
	if strings.HasPrefix(usual, "-") {
		return false
	}
	_, err := fmt.Fprintf(conn, "%s\r\n", usual)
	return err == nil && (usual[0] == '2' || usual[0] == '3' || word != "STARTTLS" && word != "DATA" && word != "")
}

func (p *postOffice) take(conn net.Conn, r *bufio.Reader) bool {
	var b strings.Builder
	for {
		text, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if text == ".\r\n" {
			break
		}
		b.WriteString(text)
	}
	p.mu.Lock()
	p.mails = append(p.mails, b.String())
	p.mu.Unlock()
	return p.answer(conn, ".", "250 taken")
}

func (p *postOffice) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, text)
}

// heard is all that clients said, and all mails.
func (p *postOffice) heard() (said, mails []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.said...), append([]string{}, p.mails...)
}

// channel is an email channel to this office.
func (p *postOffice) channel(mode, user, password string, to ...string) *email {
	addr := p.listener.Addr().(*net.TCPAddr)
	m := newEmail("lead", console, mailServer{Host: "127.0.0.1", Port: addr.Port, TLS: mode, From: "Belay <belay@example.com>", To: to}, user, password)
	m.roots = p.roots
	return m
}
