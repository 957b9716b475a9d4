package modelexec

import (
	"fmt"
	"strings"
	"time"

	"belay/internal/steps"
)

// Why a model has stopped.
const (
	stopUnknown  = ""         // it has not, as far as is known
	stopEnd      = "end"      // it is done
	stopLength   = "length"   // the longest output that is allowed
	stopWindow   = "window"   // the conversation and the answer fill what it can hold
	stopRefusal  = "refusal"  // it declines
	stopFiltered = "filtered" // the provider's filter
)

// answer is what has come back so far.
type answer struct {
	text     strings.Builder
	refusal  strings.Builder
	calls    []*calling
	stop     string
	finish   string // the provider's own word for it
	begun    bool   // something of it was understood
	used     steps.Usage
	left     int // bytes that may still come
	progress func(string)
	reported time.Time
}

// calling is a call that a model is writing.
type calling struct {
	id, name  string
	arguments strings.Builder
}

// tellEvery is how often people are told how far the model is.
const tellEvery = time.Second

// say adds a piece of the text.
func (a *answer) say(s string) error {
	a.text.WriteString(s)
	if a.progress != nil && s != "" && time.Since(a.reported) >= tellEvery {
		a.reported = time.Now()
		a.progress(fmt.Sprintf("%d words so far", len(strings.Fields(a.text.String()))))
	}
	return a.take(s)
}

// take counts what came.
func (a *answer) take(s string) error {
	a.begun = true
	if a.left -= len(s); a.left < 0 {
		return errTooLong
	}
	return nil
}

// call begins another call.
func (a *answer) call(id, name string) (*calling, error) {
	c := &calling{id: id, name: name}
	a.calls = append(a.calls, c)
	return c, a.take(id + name)
}

// last is the call that was begun last; nil if there is none.
func (a *answer) last() *calling {
	if len(a.calls) == 0 {
		return nil
	}
	return a.calls[len(a.calls)-1]
}

// usage is what was counted; nil for nothing.
func (a *answer) usage() *steps.Usage {
	if a.used.Input == 0 && a.used.Output == 0 {
		return nil
	}
	u := a.used
	return &u
}

// written is all that the model wrote, as evidence.
func (a *answer) written() string {
	var b strings.Builder
	b.WriteString(a.text.String())
	b.WriteString(a.refusal.String())
	for _, c := range a.calls {
		fmt.Fprintf(&b, "\n%s(%s)", c.name, c.arguments.String())
	}
	return strings.TrimSpace(b.String())
}
