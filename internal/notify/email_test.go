package notify

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const lead = "lead@example.com"

func TestEmail(t *testing.T) {
	t.Parallel()
	p := newPostOffice(t, nil)
	n := sampleNotice()
	n.Workflow = "größe\r\nBcc: victim@example.com"
	if err := p.channel("starttls", "", "", lead).Send(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	said, mails := p.heard()
	if len(mails) != 1 || !slices.Contains(said, "s RCPT TO:<lead@example.com>") {
		t.Fatalf("%q %q", said, mails)
	}
	msg, err := mail.ReadMessage(strings.NewReader(mails[0]))
	if err != nil {
		t.Fatal(err)
	}
	header := map[string]string{}
	for key := range msg.Header {
		header[key], _ = new(mime.WordDecoder).DecodeHeader(msg.Header.Get(key))
	}
	contentType := header["Content-Type"]
	delete(header, "Content-Type")
	want := map[string]string{
		"Subject": "[Belay] 7 × failed: payments.refund in größe Bcc: victim@example.com",
		"From":    `"Belay" <belay@example.com>`, "To": "<lead@example.com>", "Date": "Sun, 04 May 2031 10:00:00 +0000", "Message-Id": "<n1@example.com>",
		"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All", "List-Id": "<lead.belay.example.com>", "Mime-Version": "1.0",
	}
	if diff := cmp.Diff(want, header); diff != "" {
		t.Error(diff)
	}
	plain, html := parts(t, contentType, msg.Body)
	if !strings.Contains(plain, "Step: pay\n") || !strings.Contains(plain, "> <!channel> @here <b>&") || !strings.Contains(plain, console+"/e/run-1") {
		t.Errorf("%s", plain)
	}
	if !strings.Contains(html, "&lt;!channel&gt; @here &lt;b&gt;&amp;") || !strings.Contains(html, `<a href="`+console+`/e/run-1">`) || strings.Contains(html, "<b>") {
		t.Errorf("%s", html)
	}
}

// parts reads the two parts of a mail.
func parts(t *testing.T, contentType string, body io.Reader) (plain, html string) {
	t.Helper()
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(body, params["boundary"])
	texts := map[string]string{}
	for {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		texts[kind] = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
	return texts["text/plain"], texts["text/html"]
}

// TestPasswordsTravelEncrypted, and nothing travels at all where encryption was asked for and is not there.
func TestPasswordsTravelEncrypted(t *testing.T) {
	t.Parallel()
	login := "s AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00me\x00hunter22"))
	p := newPostOffice(t, nil)
	if err := p.channel("starttls", "me", "hunter22", lead).Send(t.Context(), sampleNotice()); err != nil {
		t.Error(err)
	}
	if said, _ := p.heard(); !slices.Contains(said, login) {
		t.Errorf("starttls: %q", said)
	}
	p = newPostOffice(t, func(p *postOffice) { p.implicit = true })
	if err := p.channel("tls", "me", "hunter22", lead).Send(t.Context(), sampleNotice()); err != nil {
		t.Error(err)
	}
	if said, mails := p.heard(); !slices.Contains(said, login[2:]) || len(mails) != 1 {
		t.Errorf("tls: %q", said)
	}
	p = newPostOffice(t, func(p *postOffice) { p.noTLS = true })
	failedMail(t, p.channel("starttls", "me", "hunter22", lead))
	failedMail(t, p.channel("starttls", "", "", lead))
	if said, _ := p.heard(); strings.Contains(strings.Join(said, " "), "AUTH") || strings.Contains(strings.Join(said, " "), "MAIL") {
		t.Errorf("no STARTTLS: %q", said)
	}
	p = newPostOffice(t, nil)
	m := p.channel("starttls", "me", "hunter22", lead)
	m.roots = nil // the certificate is not one that the system trusts
	failedMail(t, m)
	if said, _ := p.heard(); len(said) != 2 {
		t.Errorf("untrusted: %q", said)
	}
}

func TestMailWithoutTLS(t *testing.T) {
	t.Parallel()
	p := newPostOffice(t, func(p *postOffice) { p.noTLS = true })
	if err := p.channel("none", "", "", lead).Send(t.Context(), sampleNotice()); err != nil {
		t.Fatal(err)
	}
	if _, mails := p.heard(); len(mails) != 1 {
		t.Errorf("%d mails", len(mails))
	}
}

func failedMail(t *testing.T, m *email) *Failure {
	t.Helper()
	f := failed(t, m)
	if strings.Contains(f.Error(), "hunter22") || strings.Contains(f.Error(), "\n") {
		t.Errorf("%q", f)
	}
	return f
}

func TestRefusedMail(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		command, answer string
		temporary       bool
	}{
		"greylisted":          {"RCPT", "451 4.7.1 try again", true},
		"no such mailbox":     {"RCPT", "550 5.1.1 no such user", false},
		"sender refused":      {"MAIL", "550 5.7.1 not you", false},
		"content refused":     {".", "554 5.7.1 spam", false},
		"busy":                {".", "452 4.3.1 disk full", true},
		"no data":             {"DATA", "421 closing", true},
		"wrong password":      {"AUTH", "535 5.7.8 no: hunter22", false},
		"auth not now":        {"AUTH", "454 4.7.0 later", true},
		"not welcome":         {"", "554 no service", false},
		"busy from the start": {"", "421 too many", true},
		"hangs up at once":    {"", "-", true},
		"hangs up":            {"MAIL", "-", true},
		"hangs up at the end": {".", "-", true},
	} {
		p := newPostOffice(t, func(p *postOffice) { p.answers[tt.command] = tt.answer })
		if f := failedMail(t, p.channel("starttls", "me", "hunter22", lead)); f.Temporary != tt.temporary {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// TestAMailThatWasTakenIsDelivered: what the server says afterwards is no matter.
func TestAMailThatWasTakenIsDelivered(t *testing.T) {
	t.Parallel()
	for _, answers := range []map[string]string{{"QUIT": "-"}, {"RSET": "-"}, {"RSET": "500 what", "QUIT": "500 what"}} {
		p := newPostOffice(t, func(p *postOffice) { p.answers = answers })
		if err := p.channel("starttls", "", "", lead).Send(t.Context(), sampleNotice()); err != nil {
			t.Errorf("%v: %v", answers, err)
		}
	}
}

// TestOneBadAddress: the others have the mail, and nobody has it twice.
func TestOneBadAddress(t *testing.T) {
	t.Parallel()
	p := newPostOffice(t, func(p *postOffice) {
		p.answers["RCPT TO:<gone@example.com>"] = "550 5.1.1 no such user"
		p.answers["RCPT TO:<full@example.com>"] = "452 4.2.2 mailbox full"
	})
	f := failedMail(t, p.channel("starttls", "", "", "gone@example.com", lead, "full@example.com", "b@example.com"))
	if f.Temporary || !strings.Contains(f.Error(), "only 2 of 4") || !strings.Contains(f.Error(), "gone@example.com") || !strings.Contains(f.Error(), "full@example.com") {
		t.Errorf("%+v", f)
	}
	if _, mails := p.heard(); len(mails) != 2 {
		t.Errorf("%d mails", len(mails))
	}
}

// TestAServerThatTalksForEver or not at all ends with the attempt.
func TestAServerThatTalksForEver(t *testing.T) {
	t.Parallel()
	p := newPostOffice(t, func(p *postOffice) { p.answers["EHLO"] = "250-" + strings.Repeat("x", mailAnswerBytes) })
	began := time.Now()
	if f := failedMail(t, p.channel("none", "", "", lead)); !f.Temporary || time.Since(began) > sendTimeout-time.Second {
		t.Errorf("%+v after %s", f, time.Since(began))
	}
	p = newPostOffice(t, func(p *postOffice) { p.answers["EHLO"] = "250-silence" })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.channel("none", "", "", lead).Send(ctx, sampleNotice()); err == nil || time.Since(began) > sendTimeout-time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}
