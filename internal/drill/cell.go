package drill

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNoCell says that there is no such cell.
type ErrNoCell struct{ Text string }

func (e *ErrNoCell) Error() string { return e.Text }

// Cell plays one cell. Its name is `<target>/<fault>`; the target may be a step alone, which is its first rung, and the fault
// any HTTP status.
func (d *Drill) Cell(name string) (*Cell, error) {
	at := strings.LastIndex(name, "/")
	if at < 0 {
		return nil, &ErrNoCell{fmt.Sprintf("%q is not a cell: write TARGET/FAULT, as %s", name, d.example())}
	}
	t, err := d.targetOf(name[:at])
	if err != nil {
		return nil, err
	}
	f, err := faultOf(t, name[at+1:])
	if err != nil {
		return nil, err
	}
	c := &Cell{Target: t.Name(), Fault: f.name}
	c.plays, c.Why = f.plays(d, t)
	d.playAll([]*Cell{c})
	return c, nil
}

func (d *Drill) example() string {
	t := d.targets()[0]
	return t.Name() + "/" + faultsOf(t.kind)[0].name
}

func (d *Drill) targetOf(name string) (*target, error) {
	var names []string
	for _, t := range d.targets() {
		if t.Name() == name || t.kind == onRung && (t.of() == name || t.standsFor(name)) {
			return t, nil
		}
		names = append(names, t.Name())
	}
	return nil, &ErrNoCell{fmt.Sprintf("there is no target %q; there are %s", name, strings.Join(names, ", "))}
}

func faultOf(t *target, name string) (fault, error) {
	list := faultsOf(t.kind)
	if n := slices.IndexFunc(list, func(f fault) bool { return f.name == name }); n >= 0 {
		return list[n], nil
	}
	if code, err := strconv.Atoi(name); err == nil && t.kind == onRung && code >= 300 && code < 600 {
		wait := time.Duration(0)
		if code == http.StatusTooManyRequests {
			wait = 2 * time.Second
		}
		return fault{name, "HTTP " + name, onRung, status(code, wait)}, nil
	}
	var names []string
	for _, f := range list {
		names = append(names, f.name)
	}
	return fault{}, &ErrNoCell{fmt.Sprintf("%s has no fault %q; there are %s, and the statuses of HTTP from 300 to 599", t.Name(), name, strings.Join(names, ", "))}
}
