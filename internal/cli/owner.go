package cli

import (
	"strconv"
	"strings"
)

// owner is who has a port, as far as this process may know.
type owner struct {
	pid     int    // 0 = not known
	command string // its command line
	user    string // whose it is, where it is not ours to look at
	mark    string // of a service that a dispatcher has started
}

func (o owner) String() string {
	switch {
	case o.pid > 0 && o.command != "":
		return "pid " + strconv.Itoa(o.pid) + ": " + cut(plain(o.command), 160)
	case o.pid > 0:
		return "pid " + strconv.Itoa(o.pid)
	case o.user != "":
		return "a program of user " + o.user
	}
	return "another program"
}

// variable reads a variable of an environment as the kernel shows it.
func variable(environ, name string) string {
	for _, v := range strings.Split(environ, "\x00") {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}
