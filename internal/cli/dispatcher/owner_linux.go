package dispatcher

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// ownerOf finds the program that listens on a port of this machine: first the socket in the kernel's tables, then the
// process that has it open.
func ownerOf(port string) owner {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if uid, inode, ok := listener(line, port); ok {
				return ownerOfSocket(uid, inode)
			}
		}
	}
	return owner{}
}

// listener parses a line of the table: sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode.
func listener(line, port string) (uid, inode string, ok bool) {
	const listening = "0A"
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != listening {
		return "", "", false
	}
	_, hex, _ := strings.Cut(f[1], ":")
	n, err := strconv.ParseUint(hex, 16, 16)
	return f[7], f[9], err == nil && strconv.FormatUint(n, 10) == port
}

func ownerOfSocket(uid, inode string) owner {
	link := "socket:[" + inode + "]"
	all, _ := filepath.Glob("/proc/[0-9]*/fd/*") // only of processes that this one may look at
	for _, fd := range all {
		if to, err := os.Readlink(fd); err == nil && to == link {
			return process(filepath.Dir(filepath.Dir(fd)))
		}
	}
	if u, err := user.LookupId(uid); err == nil {
		return owner{user: u.Username}
	}
	return owner{user: uid}
}

// process reads what a process is from its folder in /proc.
func process(dir string) owner {
	o := owner{}
	o.pid, _ = strconv.Atoi(filepath.Base(dir))
	if text, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil {
		argv := strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
		argv[0] = filepath.Base(argv[0])
		o.command = strings.Join(argv, " ")
	}
	if text, err := os.ReadFile(filepath.Join(dir, "environ")); err == nil {
		o.mark = variable(string(text), serviceVariable)
	}
	return o
}
