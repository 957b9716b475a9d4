package cli

import (
	"belay/internal/bus"
	"belay/internal/observe"
)

// ClockOf is how this machine's clock differs from that of the server which a bus is connected to; nil: from none.
func ClockOf(b *bus.Bus) observe.Clock {
	if b == nil {
		return observe.Clock{}
	}
	c := b.Clock()
	if !c.Known() {
		return observe.Clock{}
	}
	return observe.Clock{Ahead: c.Ahead(), Within: c.Within()}
}
