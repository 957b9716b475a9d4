package dispatcher

import (
	"belay/internal/engine"
	"belay/internal/observe"
)

// canaryKind is under which key dispatchers write to see that the store takes it.
const canaryKind = "dispatcher"

// diskOf is what an engine knows of writing to the store.
func diskOf(e *engine.Engine) (d observe.Disk) {
	if e == nil {
		return d
	}
	for _, w := range e.Bus.Writes() {
		d.Writes = append(d.Writes, observe.Writes{Stream: w.Stream, Good: w.Good, Failing: !w.Since.IsZero()})
	}
	if e.Server != nil {
		if space, ok := e.Server.Space(); ok {
			d.Space = &observe.Space{Used: space.Used, Headroom: space.Headroom()}
		}
		return d
	}
	if used, limit, ok := e.Bus.AccountSpace(); ok {
		d.Space = &observe.Space{Used: used, Headroom: max(0, limit-used)}
	}
	return d
}
