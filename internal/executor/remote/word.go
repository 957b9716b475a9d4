package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"belay/internal/executor"
	"belay/internal/steps"
)

const (
	messageBytes = 512
	detailBytes  = 4 << 10
	storeWait    = 10 * time.Second // for the outcome to be on disk, before a program is told to repeat its report
)

// word is a program's report on how an attempt ended.
type word struct {
	digest [sha256.Size]byte // of how and what
	answer answer
	refuse *problem // the answer to the program, although its report counts
}

// finish accepts a program's report, and returns once it is stored. The same report can be repeated.
func (l *lease) finish(ctx context.Context, w word) error {
	if err := l.hear(w); err != nil {
		return err
	}
	timeout := time.NewTimer(storeWait)
	defer timeout.Stop()
	select {
	case <-l.settled:
	case <-timeout.C:
		return &problem{status: http.StatusServiceUnavailable, code: "not_stored", title: "The outcome is not stored yet",
			detail: "it was accepted and is being stored; send the same request again to learn whether it is stored"}
	case <-ctx.Done():
		return ctx.Err()
	}
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	switch {
	case !l.stored:
		return ended("the outcome could not be stored, because the worker stopped or the log refused it; the step goes on as if the program had crashed")
	case l.refuse != nil:
		return l.refuse
	}
	return nil
}

// hear ends the lease with a report, unless it has ended otherwise.
func (l *lease) hear(w word) error {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if l.end(w.answer) {
		l.word, l.refuse = &w.digest, w.refuse
		return nil
	}
	switch {
	case l.word == nil:
		return l.gone()
	case *l.word != w.digest:
		return &problem{status: http.StatusConflict, code: "conflict", title: "The attempt has ended differently",
			detail: "something else was reported for this lease before, and that counts"}
	}
	return nil
}

// gone says how a lease has ended. The hub's lock is held.
func (l *lease) gone() *problem {
	if l.word != nil {
		return ended("the program has reported how it ended")
	}
	return ended(l.why)
}

func ended(why string) *problem {
	return &problem{status: http.StatusGone, code: "lease_ended", title: "This lease has ended", detail: why}
}

// succeeded reads the body of a succeed. It always returns a report: a program with an unusable output has executed the
// attempt too.
func (l *lease) succeeded(body []byte, tooLarge bool) word {
	w := word{digest: digest("succeed", body)}
	out, err := output(body, tooLarge, l.rung.spec.MaxBytes)
	if err == nil {
		w.answer.Output = out
		return w
	}
	w.answer.err = err
	w.refuse = &problem{status: http.StatusUnprocessableEntity, code: "invalid_output", title: "The output cannot be used",
		detail: "the attempt has ended as invalid_output: " + messageOf(err)}
	return w
}

func messageOf(err error) string {
	if f, ok := errors.AsType[steps.Fault](err); ok {
		return f.Message
	}
	return err.Error()
}

func digest(kind string, body []byte) [sha256.Size]byte {
	return sha256.Sum256(slices.Concat([]byte(kind), []byte{'\n'}, body))
}

// envelope is the size of a succeed without its output.
const envelope = 1 << 10

func output(body []byte, tooLarge bool, max int) (json.RawMessage, error) {
	if tooLarge {
		return nil, executor.TooLarge(executor.Head(body, detailBytes), max)
	}
	if _, err := executor.Output(body, executor.FormatJSON, executor.Limit(max)+envelope); err != nil {
		return nil, err
	}
	var said struct {
		Output json.RawMessage `json:"output"`
	}
	if err := strict(body, &said); err != nil {
		return nil, executor.Unusable(err.Error(), executor.Head(body, detailBytes))
	}
	if said.Output == nil {
		return nil, executor.Unusable(`the answer has no "output"; write null if there is none`, executor.Head(body, detailBytes))
	}
	return executor.Output(said.Output, executor.FormatJSON, max)
}

// failure is the body of a fail.
type failure struct {
	Class      steps.Class `json:"class"`
	Message    string      `json:"message"`
	Acted      steps.Acted `json:"acted"`
	RetryAfter wait        `json:"retry_after"`
	Detail     string      `json:"detail"`
	NeedHuman  bool        `json:"need_human"`
}

// failed reads the body of a fail. A mistake in it does not end the lease: the program can report again.
func (l *lease) failed(body []byte) (word, error) {
	var said failure
	if err := strict(body, &said); err != nil {
		return word{}, invalid(err.Error())
	}
	f, err := said.fault()
	if err != nil {
		return word{}, err
	}
	return word{digest: digest("fail", body), answer: answer{err: f}}, nil
}

func (said failure) fault() (steps.Fault, error) {
	class := said.Class
	if said.NeedHuman {
		class = steps.NeedsHuman
	}
	switch {
	case class == "":
		return steps.Fault{}, unprocessable("class is missing: one of " + classes())
	case !class.Known():
		return steps.Fault{}, unprocessable(fmt.Sprintf("%.100q is not a class: one of %s", class, classes()))
	case said.Acted != "" && said.Acted != steps.ActedNo && said.Acted != steps.ActedMaybe:
		return steps.Fault{}, unprocessable(fmt.Sprintf("acted is %.100q: write no if certainly nothing has happened, else maybe", said.Acted))
	case strings.TrimSpace(said.Message) == "":
		return steps.Fault{}, unprocessable("message is missing: say in a sentence what went wrong")
	}
	acted := said.Acted
	if acted == "" {
		acted = steps.ActedMaybe
	}
	return steps.Fault{
		Class: class, Acted: acted, Message: executor.Head([]byte(said.Message), messageBytes), Detail: executor.Head([]byte(said.Detail), detailBytes),
		RetryAfter: steps.Duration(said.RetryAfter),
	}, nil
}

// classes lists the closed set.
func classes() string {
	var all []string
	for _, c := range steps.Classes() {
		all = append(all, string(c))
	}
	return strings.Join(all, ", ")
}

// wait is a duration in a request: "30s", or a number of seconds.
type wait time.Duration

func (w *wait) UnmarshalJSON(b []byte) error {
	d, err := readWait(b)
	if err == nil && d < 0 {
		err = errors.New("it is negative")
	}
	if err != nil {
		return fmt.Errorf(`%.40s is not a duration such as "30s", or a number of seconds: %w`, b, err)
	}
	*w = wait(d)
	return nil
}

func readWait(b []byte) (time.Duration, error) {
	if !bytes.HasPrefix(b, []byte(`"`)) {
		var d steps.Duration
		err := json.Unmarshal(b, &d)
		return time.Duration(d), err
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return 0, err
	}
	return time.ParseDuration(text)
}
