package manual_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"belay/internal/cli/clitest"
	"belay/internal/freeport"
)

var update = flag.Bool("update", false, "write what was printed into the pages, where it is not what they show")

// How long things may take in a story.
const (
	blockLimit = 5 * time.Minute // a block of commands
	endLimit   = 5 * time.Second // after SIGTERM
)

// driver runs the blocks of a story in one shell, so that variables and jobs last. It reads which one is next from file
// descriptor 3, and says on 4 how it ended; where a command fails it leaves its line and text behind.
const driver = `
set -eEu
trap 'printf "%s %s\n" "$LINENO" "$BASH_COMMAND" >"$STORY_DIR/failed"' ERR
while read -r -u 3 file out how; do
	if [ "$how" = sub ]; then
		set +e
		(set -e; . "$file") >"$out" 2>&1 </dev/null 3<&- 4>&-
		code=$?
		set -e
	else
		. "$file" >"$out" 2>&1 </dev/null 3<&- 4>&-
		code=0
	fi
	echo "$code" >&4
done
`

// story is a page that is being told: a shell in a directory of its own, with ports of its own.
type story struct {
	t     *testing.T
	page  *page
	dir   string            // with everything of it: work, state, bin, ...
	ports map[string]string // those in use, by those that the page shows
	shell *exec.Cmd
	next  io.Writer      // which block is next
	ended *bufio.Scanner // how it ended
	gone  chan struct{}  // closed once the shell has ended
}

func (s *story) work() string { return filepath.Join(s.dir, "work") }

// tell executes the blocks of a page in order. After the first one that fails it stops: the others build on it.
func tell(t *testing.T, p *page) []problem {
	s := &story{t: t, page: p, dir: t.TempDir(), ports: map[string]string{}, gone: make(chan struct{})}
	if err := s.furnish(); err != nil {
		t.Fatal(err)
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	var found []problem
	for i, b := range p.blocks {
		if name := b.keys["file"]; name != "" {
			if err := s.write(name, b.text); err != nil {
				return append(found, b.wrong("%v", err))
			}
		}
		if b.kind != "sh" || b.has("show") {
			continue
		}
		text, failed := s.execute(i, b)
		if failed != nil {
			return append(found, *failed)
		}
		found = append(found, s.compare(i, b, text)...)
	}
	return found
}

// compare holds the output against the page. What runs in the background may say it a little later.
func (s *story) compare(i int, b *block, text string) []problem {
	found := compare(b, text)
	if len(found) > 0 && slices.ContainsFunc(commands(b.text), func(c command) bool { return c.background }) {
		clitest.Eventually(func() bool {
			text = s.printed(i)
			found = compare(b, text)
			return len(found) == 0
		})
	}
	if len(found) > 0 && *update {
		s.t.Logf("written anew: %s:%d", b.page.path, b.next.at)
		if err := rewrite(b.next, text); err != nil {
			return []problem{b.next.wrong("%v", err)}
		}
		return nil
	}
	return found
}

// rewriting is held while a page is written, since its lines move.
var rewriting sync.Mutex

// rewrite puts what was printed in the place of an output that the page shows.
func rewrite(out *block, text string) error {
	rewriting.Lock()
	defer rewriting.Unlock()
	file := filepath.Join(root, out.page.path)
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	was := "```output\n" + out.text + "```"
	if strings.Count(string(data), was) != 1 {
		return errors.New("this output stands in the page more than once: change it by hand")
	}
	now := "```output\n" + strings.Join(printed(text), "\n") + "\n```"
	return os.WriteFile(file, []byte(strings.Replace(string(data), was, now, 1)), 0o644)
}

// furnish makes the directories of a story: the examples and clients of the project, nothing else.
func (s *story) furnish() error {
	for _, dir := range []string{"work", "home", "state", "config/belay", "blocks", "work/node_modules", "tmp"} {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o755); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{
		"belay": root, "work/clients": filepath.Join(root, "clients"), "work/config": filepath.Join(root, "config"),
		"work/deploy": filepath.Join(root, "deploy"), "work/node_modules/belay": filepath.Join(root, "clients/typescript"),
	} {
		if err := os.Symlink(to, filepath.Join(s.dir, name)); err != nil {
			return err
		}
	}
	if err := s.copyExamples(); err != nil {
		return err
	}
	settings := "dev: {listen: \"127.0.0.1:" + s.port("8222") + "\", nats_listen: \"127.0.0.1:" + s.port("4222") + "\"}\n"
	return os.WriteFile(filepath.Join(s.dir, "config/belay/config.yaml"), []byte(settings), 0o600)
}

// copyExamples copies the examples with ports of their own. Their shop is built once, and not by every story.
func (s *story) copyExamples() error {
	from := os.DirFS(filepath.Join(root, "examples"))
	return fs.WalkDir(from, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(s.work(), "examples", path)
		if d.Name() == "node_modules" {
			return fs.SkipDir // large, and no page needs it
		}
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		if strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, []byte(s.own(string(text))), 0o755)
	})
}

var address = regexp.MustCompile(`(127\.0\.0\.1|localhost|\[::1\]):(\d{2,5})\b`)

// own puts the ports of this story in the place of those that the page shows, built programs in that of `go run`, and where the clone
// really is in that of the link to it.
func (s *story) own(text string) string {
	text = address.ReplaceAllStringFunc(text, func(found string) string {
		m := address.FindStringSubmatch(found)
		return m[1] + ":" + s.port(m[2])
	})
	shop := "-listen, \"127.0.0.1:" + s.port("8391") + "\", -ledger, \"" + filepath.Join(s.dir, "ledger") + "\""
	text = strings.ReplaceAll(text, "[go, run, ./shop]", "[shop, "+shop+"]")
	text = strings.ReplaceAll(text, "go run ./examples/shop", "shop "+strings.NewReplacer(",", "", `"`, "").Replace(shop))
	// Under another path the compiler would make all of Belay anew.
	text = strings.ReplaceAll(text, "-replace belay=../belay", "-replace belay="+root)
	return goRun.ReplaceAllString(text, "$1")
}

var goRun = regexp.MustCompile(`go run \./cmd/(dispatcher|worker)\b`)

// shown puts the ports that the page shows back into what was printed.
func (s *story) shown(text string) string {
	for shown, own := range s.ports {
		text = regexp.MustCompile(`:`+own+`\b`).ReplaceAllString(text, ":"+shown)
	}
	return strings.ReplaceAll(text, s.work(), "~/belay")
}

func (s *story) port(shown string) string {
	if s.ports[shown] == "" {
		port, release, err := freeport.Take()
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(release)
		s.ports[shown] = port
	}
	return s.ports[shown]
}

func (s *story) write(name, text string) error {
	path := filepath.Join(s.work(), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(s.own(text)), 0o755)
}

// shop is the service of the examples, built once.
var shop = sync.OnceValues(func() (string, error) {
	self, err := exec.LookPath("dispatcher")
	if err != nil {
		return "", err
	}
	bin := filepath.Dir(self) // ends with the tests
	c := exec.Command("go", "build", "-o", filepath.Join(bin, "shop"), "belay/examples/shop")
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return bin, nil
})

// goEnv is where this machine's Go keeps its things: a story has a home of its own.
var goEnv = sync.OnceValues(func() ([]string, error) {
	names := []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN"}
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		return nil, err
	}
	var all []string
	for i, value := range strings.Split(strings.TrimRight(string(out), "\n"), "\n") {
		all = append(all, names[i]+"="+value)
	}
	return all, nil
})

func (s *story) environment() ([]string, error) {
	if _, err := shop(); err != nil {
		return nil, err
	}
	all, err := goEnv()
	if err != nil {
		return nil, err
	}
	in := func(name string) string { return filepath.Join(s.dir, name) }
	return append(slices.Clone(all),
		"PATH="+os.Getenv("PATH"), "HOME="+in("home"), "TMPDIR="+in("tmp"), "XDG_STATE_HOME="+in("state"), "XDG_CONFIG_HOME="+in("config"),
		"LANG=C.UTF-8", "TZ=UTC", "NO_COLOR=1", "BELAY_LOG_FORMAT=text", "USER=mia", "LOGNAME=mia", "STORY_DIR="+s.dir,
		"PYTHONPATH="+filepath.Join(root, "clients/python"), "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1",
		"BELAY_URL=http://127.0.0.1:"+s.port("8222"), "BELAY_WORK_URL=http://127.0.0.1:"+s.port("7480"),
	), nil
}

func (s *story) start() error {
	env, err := s.environment()
	if err != nil {
		return err
	}
	in, next, err := os.Pipe()
	if err != nil {
		return err
	}
	ended, out, err := os.Pipe()
	if err != nil {
		return err
	}
	s.shell = exec.Command("bash", "-c", driver)
	s.shell.Dir, s.shell.Env, s.shell.ExtraFiles = s.work(), env, []*os.File{in, out}
	s.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.shell.Start(); err != nil {
		return err
	}
	in.Close()
	out.Close()
	s.next, s.ended = next, bufio.NewScanner(ended)
	go func() {
		_ = s.shell.Wait() // how it ended is read where a block ends
		close(s.gone)
	}()
	return nil
}

func (s *story) blockFile(i int, suffix string) string {
	return filepath.Join(s.dir, "blocks", strconv.Itoa(i)+suffix)
}

func (s *story) printed(i int) string {
	text, _ := os.ReadFile(s.blockFile(i, ".out")) // nothing yet
	var kept strings.Builder
	for l := range strings.Lines(string(text)) {
		if !strings.Contains(l, s.blockFile(i, ".sh")+": line") { // the shell's word about a job that was killed
			kept.WriteString(l)
		}
	}
	return s.shown(kept.String())
}

// execute runs a block to its end. What it leaves in the background is up when it returns.
func (s *story) execute(i int, b *block) (text string, failed *problem) {
	fail := func(p problem) (string, *problem) { return "", &p }
	if err := os.WriteFile(s.blockFile(i, ".sh"), []byte(s.own(b.text)), 0o600); err != nil {
		return fail(b.wrong("%v", err))
	}
	how, want := "here", "0"
	if b.keys["exit"] != "" {
		how, want = "sub", b.keys["exit"]
	}
	fmt.Fprintln(s.next, s.blockFile(i, ".sh"), s.blockFile(i, ".out"), how)
	ended := make(chan string, 1)
	go func() {
		if s.ended.Scan() {
			ended <- s.ended.Text()
		}
	}()
	select {
	case <-s.gone: // a command has failed
		at, command := s.failed()
		return fail(b.wrongAt(at, "`%s` fails (%s)\n%s", command, s.shell.ProcessState, indented(printed(s.printed(i)))))
	case code := <-ended:
		if code != want {
			return fail(b.wrong("it exits with %s, not with %s\n%s", code, want, indented(printed(s.printed(i)))))
		}
	case <-time.After(blockLimit):
		return fail(b.wrong("it has not ended after %s\n%s", blockLimit, indented(printed(s.printed(i)))))
	}
	if err := s.up(b); err != nil {
		return fail(b.wrong("%v\n%s", err, indented(printed(s.printed(i)))))
	}
	return s.printed(i), nil
}

// failed says which command of a block has failed: its line in the block, and its text. Of a list like a && b only the
// whole block is known to have failed.
func (s *story) failed() (at int, command string) {
	text, _ := os.ReadFile(filepath.Join(s.dir, "failed")) // empty if the shell itself ended
	line, command, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if strings.HasPrefix(command, `. "$file"`) {
		return 0, "the last command"
	}
	at, _ = strconv.Atoi(line)
	return at, s.shown(command)
}

// up waits until what a block has started in the background answers.
func (s *story) up(b *block) error {
	for _, c := range commands(s.own(b.text)) {
		if !c.background {
			continue
		}
		for _, wait := range s.signs(c.words) {
			if !clitest.Eventually(wait.is) {
				return fmt.Errorf("`%s` does not answer at %s", s.shown(strings.Join(c.words, " ")), s.shown(wait.at))
			}
		}
	}
	return nil
}

type sign struct {
	at string
	is func() bool
}

// signs are what shows that a program is up: its addresses take connections, and Belay's own say that they are ready.
func (s *story) signs(words []string) (all []sign) {
	seen := map[string]bool{}
	add := func(at string, is func() bool) {
		if !seen[at] {
			seen[at] = true
			all = append(all, sign{at, is})
		}
	}
	if len(words) > 1 && words[0] == "dispatcher" && words[1] == "dev" && !slices.Contains(words, "--listen") {
		add("127.0.0.1:"+s.port("8222"), ready("127.0.0.1:"+s.port("8222")))
	}
	for i, w := range words {
		for _, m := range address.FindAllString(w, -1) {
			switch {
			case i > 0 && words[i-1] == "--listen" || strings.HasPrefix(w, "--listen="):
				add(m, ready(m))
			case i > 0 && (strings.HasSuffix(words[i-1], "-listen") || strings.Contains(w, "-listen=")):
				add(m, listens(m))
			}
		}
	}
	return all
}

func listens(address string) func() bool {
	return func() bool {
		c, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
}

func ready(address string) func() bool {
	return func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
		if err != nil {
			return false
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return false
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		damaged := strings.Contains(string(body), "the log was damaged") // it is up, and waits for somebody who accepts that
		return err == nil && (res.StatusCode == http.StatusOK || damaged)
	}
}

// end ends everything that the story has started, whatever group it is in.
func (s *story) end() {
	if s.t.Failed() {
		s.t.Logf("ports: %v", s.ports)
	}
	all := s.processes()
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGTERM) // it may have ended
	}
	deadline := time.Now().Add(endLimit)
	for len(s.processes()) > 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	for len(s.processes()) > 0 && time.Now().Before(deadline.Add(time.Minute)) {
		for _, pid := range s.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(20 * time.Millisecond)
	}
	<-s.gone
	if left := s.processes(); len(left) > 0 {
		s.t.Errorf("these processes are left over: %v", left)
	}
}

// processes are those with the environment of this story, or its shell's group where there is no /proc.
func (s *story) processes() (all []int) {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		if syscall.Kill(-s.shell.Process.Pid, 0) == nil {
			return []int{-s.shell.Process.Pid}
		}
		return nil
	}
	files, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is valid
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !slices.Contains(strings.Split(string(text), "\x00"), "STORY_DIR="+s.dir) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			all = append(all, pid)
		}
	}
	return all
}
