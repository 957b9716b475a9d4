package notify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"belay/internal/executor"
	"belay/internal/outbound"
	"belay/internal/steps"
)

// answerBytes is how much of an answer is read.
const answerBytes = 4 << 10

// poster posts JSON to one URL, which is itself a secret if it is an incoming webhook.
type poster struct {
	url     string
	secrets *executor.Secrets // what no error may contain
	policy  outbound.Policy
	client  *http.Client
}

func newPoster(target string) poster {
	p := poster{url: target, secrets: &executor.Secrets{}}
	p.through(outbound.Policy{})
	p.secrets.Add("the URL", target)
	if u, err := url.Parse(target); err == nil { // an error may contain only a part of it
		p.secrets.Add("the URL", u.RequestURI())
		p.secrets.Add("the URL", u.Path)
	}
	return p
}

// through has it connect as the policy says.
func (p *poster) through(policy outbound.Policy) {
	t := policy.Transport(outbound.Written, sendTimeout)
	t.IdleConnTimeout, t.MaxResponseHeaderBytes, t.ForceAttemptHTTP2 = time.Minute, 64<<10, true
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p.policy, p.client = policy, &http.Client{Timeout: sendTimeout, Transport: t, CheckRedirect: stay}
}

// post sends the body. Its error is a [*Failure].
func (p *poster) post(ctx context.Context, body []byte, header http.Header) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return permanent("the URL is not valid: correct it")
	}
	for key, values := range header {
		req.Header[key] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "belay")
	resp, err := p.client.Do(req)
	if r, refused := errors.AsType[*outbound.Refusal](err); refused {
		return permanent("%s", p.hidden(r.Error()))
	}
	if err != nil {
		return temporary("%s", p.hidden(plain(err)))
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, answerBytes)) // the status counts; the body is only for the message
	return p.judge(resp, answer)
}

func (p *poster) judge(resp *http.Response, answer []byte) error {
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode <= 299:
		return nil
	case resp.StatusCode >= 300 && resp.StatusCode <= 399:
		return permanent("the answer is %d, a redirect, which is not followed: correct the URL", resp.StatusCode)
	}
	f := permanent("the answer is %d %s: %s", resp.StatusCode, http.StatusText(resp.StatusCode), p.said(answer))
	if class, _ := executor.OfStatus(resp.StatusCode); class.Reaction() == steps.Retry {
		f.Temporary = true
		f.RetryAfter = executor.NamedWait(resp.Header.Get)
	}
	return f
}

// said returns the other side's answer, for the operator.
func (p *poster) said(answer []byte) string {
	text := line(p.secrets.Head(answer, len(answer) == answerBytes, answerBytes), 200)
	if text == "" {
		return "no reason given"
	}
	return text
}

func (p *poster) hidden(text string) string { return line(p.secrets.Redact(text), 200) }

// plain describes an error without net/http's wrapping, which repeats the URL.
func plain(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "host " + dns.Name + " cannot be resolved: " + dns.Err
	}
	if errors.Is(err, io.EOF) {
		return "the connection was closed before an answer arrived"
	}
	return err.Error()
}
