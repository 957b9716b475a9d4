package remote

import (
	"encoding/json"
	"errors"
	"testing"

	"belay/internal/exactjson/exactjsontest"
	"belay/internal/steps"
)

// FuzzFail: what a program reports of a failure is a fault of a known class, or the program is told what is wrong.
func FuzzFail(f *testing.F) {
	for _, s := range []string{
		`{"class":"timeout","message":"m","acted":"no","retry_after":"30s","detail":"d"}`, `{"class":"timeout","Class":"rejected","message":"m"}`, `{"need_human":true,"message":"m","retry_after":1.5}`,
		`{"class":"timeout","message":"m","retry_after":"-1s"}`, `{"class":"timeout","message":"m","message":"n"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w, err := new(lease).failed(body)
		if err != nil {
			exactjsontest.Message(t, err)
			return
		}
		fault, is := errors.AsType[steps.Fault](w.answer.err)
		if !is || !fault.Class.Known() || fault.Message == "" || len(fault.Message) > messageBytes+len("…") || fault.RetryAfter < 0 {
			t.Fatalf("%s: %+v", body, fault)
		}
	})
}

// FuzzSucceed: an output is JSON, or the attempt has ended as one with an output that cannot be used.
func FuzzSucceed(f *testing.F) {
	for _, s := range []string{`{"output":{"a":1}}`, `{"output":null}`, `{"Output":1}`, `{"output":1,"output":2}`, `{}`, `{"output":1}{}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		out, err := output(body, false, 0)
		if err != nil {
			if fault, is := errors.AsType[steps.Fault](err); !is || fault.Class != steps.InvalidOutput {
				t.Fatalf("%s: %v", body, err)
			}
			exactjsontest.Message(t, errors.New(messageOf(err)))
			return
		}
		var all map[string]json.RawMessage
		if json.Unmarshal(body, &all) != nil || len(all) != 1 || all["output"] == nil || !json.Valid(out) {
			t.Fatalf("%s: %s", body, out)
		}
	})
}

// FuzzBeat is about what a program says while it executes.
func FuzzBeat(f *testing.F) {
	type beat struct {
		Progress string `json:"progress"`
	}
	exactjsontest.Fuzz(f, func(body []byte) (b beat, err error) { return b, strict(body, &b) }, beat{"half"})
}
