package modelexec

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"belay/internal/executor"
	"belay/internal/genai"
	"belay/internal/steps"
)

// How many bytes may come for one byte of an answer. An event of a stream has a frame around a few letters, and either has
// beside the answer what a model thinks.
const (
	streamFactor = 256
	wholeFactor  = 8
)

// protocol is how a provider is asked.
type protocol interface {
	send(ctx context.Context, c *conversation, key string, refuse func(*http.Response) error) (*http.Response, error)
	stream(resp *http.Response, a *answer) error
	whole(data []byte, a *answer) error
}

// rung executes one rung of the tools file.
type rung struct {
	spec     executor.Model
	client   *http.Client
	protocol protocol
	target   string // for people
	host     string // of the provider
	asked    func(genai.Call)
	misfits  *memory
}

// Execute asks once.
func (x *rung) Execute(ctx context.Context, req executor.Request) (executor.Result, error) {
	if ctx.Err() != nil {
		return executor.Result{}, executor.Stopped(ctx, steps.ActedNo)
	}
	c, err := x.conversation(req)
	if err != nil {
		return executor.Result{}, err
	}
	var secrets executor.Secrets
	key, err := x.key(&secrets)
	if err != nil {
		return executor.Result{}, err
	}
	x.misfits.remind(c, req)
	ctx, o := x.observe(ctx, req, c)
	a := &answer{left: executor.Limit(x.spec.MaxBytes), progress: req.Progress}
	out, err := x.answered(ctx, c, req, a, key, &secrets)
	result := executor.Result{Output: out, Usage: a.usage()}
	o.end(a, result.Usage, err)
	return result, err
}

// answered asks and makes the output of the answer; its error is a fault.
func (x *rung) answered(ctx context.Context, c *conversation, req executor.Request, a *answer, key string, secrets *executor.Secrets) (out json.RawMessage, err error) {
	if err = x.ask(ctx, c, key, a); err == nil {
		out, err = x.output(c, req, a, secrets)
	}
	if err != nil {
		return nil, secrets.RedactFault(x.fault(ctx, err, a))
	}
	x.misfits.forget(req)
	return out, nil
}

// key is what the provider knows the worker by, empty where the rung has none.
func (x *rung) key(secrets *executor.Secrets) (string, error) {
	if x.spec.BearerEnv == "" {
		return "", nil
	}
	key, err := executor.FromEnv(x.spec.BearerEnv)
	if err == nil {
		secrets.Add(x.spec.BearerEnv, key)
	}
	return key, err
}

// ask sends the conversation and reads the answer.
func (x *rung) ask(ctx context.Context, c *conversation, key string, a *answer) error {
	resp, err := x.protocol.send(ctx, c, key, func(r *http.Response) error { return refusal(r) })
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	limit := max(executor.Limit(x.spec.MaxBytes), steps.MaxOutput)
	b := &body{ReadCloser: resp.Body, left: limit*streamFactor + 1}
	resp.Body = b
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/event-stream" {
		err = x.protocol.stream(resp, a)
	} else {
		b.left = limit*wholeFactor + 1
		err = x.readWhole(b, a)
	}
	switch {
	case errors.Is(err, errTooLong), errors.Is(err, bufio.ErrTooLong):
		return executor.TooLarge(executor.Head([]byte(a.written()), headBytes), x.spec.MaxBytes)
	case b.wrong:
		return executor.Unusable("the answer is not valid UTF-8", executor.Head(b.head, headBytes))
	case err == nil && !a.begun:
		return garbage("the answer has nothing that a model writes", string(b.head))
	}
	return err
}

func (x *rung) readWhole(b *body, a *answer) error {
	data, err := io.ReadAll(b)
	if err != nil {
		return err
	}
	if err := saidInStream(data); err != nil {
		return err
	}
	return x.protocol.whole(data, a)
}

// accepted lets through answers with the status 2xx alone. The libraries would read the others without a bound.
func accepted(next func(*http.Request) (*http.Response, error), refuse func(*http.Response) error) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		resp, err := next(r)
		if err != nil || resp.StatusCode >= 200 && resp.StatusCode <= 299 {
			return resp, err
		}
		defer resp.Body.Close()
		return nil, refuse(resp)
	}
}
