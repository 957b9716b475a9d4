package injection

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/steps"
)

// Classes are those that a call of a tool can end with: not those that only the core gives.
func Classes() []steps.Class {
	return []steps.Class{
		steps.Timeout, steps.RateLimited, steps.Unavailable, steps.Connection, steps.Crashed, steps.InvalidOutput,
		steps.InvalidInput, steps.Unauthorized, steps.Forbidden, steps.NotFound, steps.Conflict, steps.ToolError,
		steps.BadExpression, steps.NeedsHuman,
	}
}

func classes() string {
	var all []string
	for _, c := range Classes() {
		all = append(all, string(c))
	}
	return strings.Join(all, ", ")
}

// longestText is how long who asked, and why, may be.
const longestText = 200

// Check says what is wrong with an order, by the names of its settings; nil = nothing.
func (o *Order) Check() error {
	lasts := o.Until.Sub(o.Made)
	switch {
	case o.Tool == "":
		return errors.New("tool is missing: name the tool whose calls it is about")
	case !slices.Contains(Kinds(), o.Kind):
		return fmt.Errorf("kind %q: must be fault, slow, kill or partition", o.Kind)
	case o.Acted != Before && o.Acted != After:
		return fmt.Errorf("acted %q: must be before (or no) or after", o.Acted)
	case !(o.Rate > 0 && o.Rate <= 1): // not a number either
		return fmt.Errorf("rate %v: must be above 0 and at most 1, which is every attempt", o.Rate)
	case lasts <= 0:
		return errors.New("for is missing: say how long it lasts, at most 24h; it ends by itself")
	case lasts > Longest:
		return fmt.Errorf("for %s: at most 24h, so that nobody forgets it", lasts)
	case o.Unsafe != "" && o.Unsafe != o.Tool:
		return fmt.Errorf("unsafe %q: must repeat the tool's name, %s", o.Unsafe, o.Tool)
	case len(o.Reason) > longestText || len(o.By) > longestText:
		return fmt.Errorf("reason: at most %d bytes, because it stands in every fault", longestText)
	}
	return o.checkKind()
}

func (o *Order) checkKind() error {
	delayed := o.Kind == Slow || o.Kind == Partition
	switch {
	case o.Kind == Fault && o.Class == "":
		return errors.New("class is missing: say which fault, one of " + classes())
	case o.Kind == Fault && !slices.Contains(Classes(), o.Class):
		return fmt.Errorf("class %q: a call cannot end so; one of %s", o.Class, classes())
	case o.Kind != Fault && o.Class != "":
		return fmt.Errorf("class is for kind fault, not for kind %s", o.Kind)
	case o.Kind != Fault && o.RetryAfter != 0:
		return fmt.Errorf("retry-after is for kind fault, not for kind %s", o.Kind)
	case o.RetryAfter < 0:
		return errors.New("retry-after: must not be negative")
	case delayed && o.Delay <= 0:
		return fmt.Errorf("delay is missing: say how long, like 5s; kind %s needs it", o.Kind)
	case delayed && time.Duration(o.Delay) > Longest:
		return errors.New("delay: at most 24h")
	case !delayed && o.Delay != 0:
		return fmt.Errorf("delay is for the kinds slow and partition, not for kind %s", o.Kind)
	}
	return nil
}
