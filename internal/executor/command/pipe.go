package command

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// pipes are the three pipes of a command. They are not those of [exec.Cmd], whose Wait would wait for every process
// that has one of them open, even if it has left the group.
type pipes struct {
	stdin, stdout, stderr *os.File // our ends
	child                 []*os.File
}

func openPipes(cmd *exec.Cmd) (*pipes, error) {
	var p pipes
	inR, inW, err1 := os.Pipe()
	outR, outW, err2 := os.Pipe()
	errR, errW, err3 := os.Pipe()
	p.stdin, p.stdout, p.stderr = inW, outR, errR
	p.child = []*os.File{inR, outW, errW}
	if err := errors.Join(err1, err2, err3); err != nil {
		p.close()
		return nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inR, outW, errW
	return &p, nil
}

// carry writes stdin and collects what is printed. The channel is closed when all three pipes are at their end.
func (p *pipes) carry(to *process, tooMuch func()) <-chan struct{} {
	var wg sync.WaitGroup
	wg.Go(func() { p.feed(to.stdin) })
	wg.Go(func() { to.readOut(p.stdout, tooMuch) })
	wg.Go(func() { _, _ = io.Copy(&to.stderr, p.stderr) })
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	return done
}

// feed writes the parameters. A command need not read them, so a broken pipe is no error.
func (p *pipes) feed(b []byte) {
	_, _ = p.stdin.Write(b)
	_ = p.stdin.Close()
}

// readOut collects stdout up to the limit; if there is more, it calls tooMuch.
func (to *process) readOut(r io.Reader, tooMuch func()) {
	// A read error is the end of the pipe by drain; what was read before it counts.
	to.stdout, _ = io.ReadAll(io.LimitReader(r, int64(to.max)+1))
	if len(to.stdout) > to.max {
		to.tooMuch = true
		tooMuch()
		_, _ = io.Copy(io.Discard, r) // else it could not end while it waits for a reader
	}
}

// drain ends writing at once, and reading after d, in which what is in the pipes can be read.
func (p *pipes) drain(d time.Duration) {
	end := time.Now().Add(d)
	_ = p.stdin.SetWriteDeadline(time.Now())
	_ = p.stdout.SetReadDeadline(end)
	_ = p.stderr.SetReadDeadline(end)
}

// closeChild closes the child's ends here, so that ours see the end when the child's are closed.
func (p *pipes) closeChild() { closeAll(p.child) }

// close closes whatever is open.
func (p *pipes) close() {
	closeAll(p.child)
	closeAll([]*os.File{p.stdin, p.stdout, p.stderr})
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // it may be closed already, or was never opened
	}
}

// tail keeps the last stderrBytes of what is written to it.
type tail struct {
	b   []byte
	cut bool
}

func (t *tail) Write(b []byte) (int, error) {
	t.b = append(t.b, b...)
	if over := len(t.b) - stderrBytes; over > 0 {
		t.b, t.cut = append(t.b[:0], t.b[over:]...), true
	}
	return len(b), nil
}
