package dispatcher

import (
	"strconv"
	"strings"

	"belay/internal/text"
)

// owner is the program that has a port, as far as this process can find out.
type owner struct {
	pid     int    // 0 = not known
	command string // its command line
	user    string // who runs it, if this process may not look at it
	mark    string // of the service, if a dispatcher has started it
}

func (o owner) String() string {
	switch {
	case o.pid > 0 && o.command != "":
		return "pid " + strconv.Itoa(o.pid) + ": " + text.Cut(text.Line(o.command), 160)
	case o.pid > 0:
		return "pid " + strconv.Itoa(o.pid)
	case o.user != "":
		return "a program of user " + o.user
	}
	return "another program"
}

// variable reads a variable from an environment as in /proc/PID/environ.
func variable(environ, name string) string {
	for _, v := range strings.Split(environ, "\x00") {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}
