package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// epoch is the version of the rules that a run is folded by.
const epoch = 3

// submit starts a run with the document that `dispatcher lint PLAN --print` has written. If the run is there
// already, the server answers that the sequence is wrong.
func (w *worker) submit(ctx context.Context, run, file, input string) error {
	document, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"v": 1, "type": "submitted", "epoch": epoch, "by": w.name,
		"input": json.RawMessage(input), "document": json.RawMessage(document),
	})
	if err != nil {
		return err
	}
	m := &nats.Msg{Subject: w.subject(run, "plan"), Data: body, Header: nats.Header{"Belay-Run-Id": {run}}}
	_, err = w.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(0))
	return err
}
