package runlog

import (
	"time"

	"belay/internal/exactjson"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// readReport reads the document of a run that has ended: by hand where it is as dispatchers write those of runs that went as planned.
func readReport(body []byte) (d view.Document, ok bool) {
	if d, ok = scanReport(body); ok {
		return d, true
	}
	d = view.Document{}
	return d, exactjson.Unmarshal(body, &d) == nil
}

func scanReport(body []byte) (d view.Document, ok bool) {
	s := exactjson.NewScan(body)
	d.ID = s.Text(`{"id":`)
	d.Workflow = s.Text(`,"workflow":`)
	d.State = steps.RunState(s.Text(`,"state":`))
	d.Reason = s.Optional(`,"reason":`)
	reads(&s, s.Value(`,"labels":`), &d.Labels)
	d.Started = s.Time(`,"started":`)
	d.Ended = scanTime(&s, `,"ended":`)
	d.Input = s.Value(`,"input":`)
	reads(&s, s.Value(`,"degraded":`), &d.Degraded)
	d.Steps = scanList(&s, `,"steps":[`, scanShown)
	d.Output = s.Value(`,"output":`)
	reads(&s, s.Value(`,"escalations":`), &d.Escalations)
	reads(&s, s.Rest(`,"asked":`), &d.Asked)
	return d, s.OK()
}

// reads reads what is rarely long.
func reads(s *exactjson.Scan, body []byte, into any) {
	if s.OK() && exactjson.Unmarshal(body, into) != nil {
		s.Surprise()
	}
}

// scanList reads a list of objects.
func scanList[T any](s *exactjson.Scan, key string, one func(*exactjson.Scan) T) []T {
	s.Skip(key)
	list := []T{}
	for s.OK() && !s.Next(`]`) {
		if len(list) > 0 {
			s.Skip(`,`)
		}
		list = append(list, one(s))
	}
	return list
}

// scanTime is a time that is always written, and null while there is none.
func scanTime(s *exactjson.Scan, key string) *time.Time {
	if !s.At(key) {
		s.Surprise()
	}
	at := s.Time(key)
	return &at
}

func scanShown(s *exactjson.Scan) (v view.Step) {
	v.ID = s.Text(`{"id":`)
	v.Tool = s.Text(`,"tool":`)
	v.State = steps.StepState(s.Text(`,"state":`))
	v.Rung = s.Text(`,"rung":`)
	v.Round = s.Int(`,"round":`)
	v.Output = s.Value(`,"output":`)
	v.Attempts = scanList(s, `,"attempts":[`, scanTried)
	s.Skip(`}`)
	return v
}

func scanTried(s *exactjson.Scan) (a view.Attempt) {
	a.Round = s.Int(`{"round":`)
	a.Rung = s.Text(`,"rung":`)
	a.Try = s.Int(`,"try":`)
	a.State = steps.AttemptState(s.Text(`,"state":`))
	a.Class = steps.Class(s.Optional(`,"class":`))
	a.Message = s.Optional(`,"message":`)
	a.Worker = s.Optional(`,"worker":`)
	a.Queued = s.Time(`,"queued":`)
	a.Started = scanTime(s, `,"started":`)
	a.Ended = scanTime(s, `,"ended":`)
	a.Took = steps.Duration(s.Seconds(`,"took":`))
	a.Wait = steps.Duration(s.Seconds(`,"wait":`))
	s.Skip(`}`)
	return a
}
