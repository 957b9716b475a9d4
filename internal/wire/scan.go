package wire

import (
	"encoding/base64"

	"belay/internal/exactjson"
	"belay/internal/steps"
)

// The bodies that append.go writes are read by hand too.

func scanAttempt(s *exactjson.Scan) (a steps.Attempt) {
	a.Step = s.Text(`,"step":`)
	a.Round = s.Int(`,"round":`)
	a.Rung = s.Int(`,"rung":`)
	a.Try = s.Int(`,"try":`)
	return a
}

const startedHead = `{"v":1,"type":"started"`

func scanStarted(body []byte) (e steps.Started, ok bool) {
	s := exactjson.NewScan(body)
	s.Skip(startedHead)
	e.Attempt = scanAttempt(&s)
	e.Worker = s.Text(`,"worker":`)
	e.Delivery = s.Optional(`,"delivery":`)
	e.Unheard = s.Next(`,"unheard":true`)
	e.Company = steps.Company(s.Optional(`,"company":`))
	return e, s.End()
}

func scanClaimed(body []byte) (e steps.Claimed, ok bool) {
	s := exactjson.NewScan(body)
	s.Skip(`{"v":1,"type":"claimed"`)
	e.Attempt = scanAttempt(&s)
	e.Worker = s.Optional(`,"worker":`)
	return e, s.End()
}

func scanClosed(body []byte) (e steps.Closed, ok bool) {
	s := exactjson.NewScan(body)
	s.Skip(`{"v":1,"type":"closed"`)
	e.State = steps.RunState(s.Text(`,"state":`))
	e.Reason = s.Optional(`,"reason":`)
	return e, s.End()
}

func scanSucceeded(body []byte) (e steps.Succeeded, ok bool) {
	s := exactjson.NewScan(body)
	s.Skip(`{"v":1,"type":"succeeded"`)
	e.Attempt = scanAttempt(&s)
	e.Worker = s.Text(`,"worker":`)
	e.Age = steps.Duration(s.Seconds(`,"age":`))
	e.Started = s.Time(`,"started":`)
	e.Took = steps.Duration(s.Seconds(`,"took":`))
	e.Output = s.Rest(`,"output":`)
	return e, s.OK()
}

func scanProof(s *exactjson.Scan) *steps.Proof {
	if !s.Next(`,"proof":{`) {
		return nil
	}
	p := steps.Proof{Key: s.Text(`"key":`), At: s.Time(`,"at":`)}
	signature, err := base64.StdEncoding.DecodeString(s.Text(`,"signature":`))
	if err != nil {
		s.Surprise()
	}
	p.Signature = signature
	s.Skip("}")
	return &p
}

func scanSubmitted(body []byte) (e steps.Submitted, ok bool) {
	s := exactjson.NewScan(body)
	s.Skip(`{"v":1,"type":"submitted"`)
	if s.Next(`,"epoch":`) {
		e.Epoch = s.Int("")
	}
	e.ToolsFile = s.Optional(`,"tools_file":`)
	e.At = s.Time(`,"at":`)
	e.In = steps.Duration(s.Seconds(`,"in":`))
	e.By = s.Optional(`,"by":`)
	e.Via = s.Optional(`,"via":`)
	e.Reason = s.Optional(`,"reason":`)
	e.RetryOf = s.Optional(`,"retry_of":`)
	e.KeyRun = s.Optional(`,"key_run":`)
	e.Request = s.Optional(`,"request":`)
	e.Token = s.Optional(`,"token":`)
	e.Proof = scanProof(&s)
	const labels = `,"labels":`
	if s.At(labels) && exactjson.Unmarshal(s.Value(labels), &e.Labels) != nil {
		s.Surprise()
	}
	e.Input = s.Value(`,"input":`)
	e.Document = s.Rest(`,"document":`)
	return e, s.OK()
}

func scanStep(body []byte) (m steps.StepMessage, ok bool) {
	s := exactjson.NewScan(body)
	s.Skip(`{"v":1`)
	m.Run = s.Text(`,"run":`)
	m.Attempt = scanAttempt(&s)
	m.Workflow = s.Text(`,"workflow":`)
	m.Tool = s.Text(`,"tool":`)
	m.RungName = s.Text(`,"rung_name":`)
	m.Effects = steps.Effects(s.Text(`,"effects":`))
	m.Key = s.Text(`,"key":`)
	m.Timeout = steps.Duration(s.Seconds(`,"timeout":`))
	m.NotBefore = s.Time(`,"not_before":`)
	m.Deadline = s.Time(`,"deadline":`)
	m.Lane = steps.Lane(s.Optional(`,"lane":`))
	if s.Next(`,"policies":{"heard":[`) {
		m.Policies = &steps.Policies{Heard: []string{s.Text("")}} // more of them are rare, and left to encoding/json
		s.Skip(`]}`)
	}
	m.Params = s.Rest(`,"params":`)
	return m, s.OK()
}
