package mcpexec

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/executor"
	"belay/internal/steps"
)

// maxMessage bounds a message of a server. What a rung may have of it is less.
const maxMessage = 16 << 20

// detailBytes is how much of an unusable answer is kept as evidence.
const detailBytes = 2 << 10

// knownTime is how long a program may take to say whether it knows the present protocol. One that does not even refuse
// what it does not know is older.
const knownTime = 5 * time.Second

// pipes speak with a program, one message a line. They are a [mcp.Transport] and its [mcp.Connection].
type pipes struct {
	*process
	lines *bufio.Reader
	turn  chan struct{} // whoever has it writes
	half  []byte        // of a line that is not there as a whole yet

	mu      sync.Mutex
	asked   jsonrpc.ID               // whether it knows the present protocol; not valid: it was not asked
	silent  bool                     // it has not said in time
	known   *time.Timer              // when it is taken to be silent; nil: it was not asked
	waiting map[jsonrpc.ID]*exchange // requests without an answer
}

func newPipes(p *process) *pipes {
	return &pipes{process: p, lines: bufio.NewReaderSize(p.stdout, 64<<10), turn: make(chan struct{}, 1), waiting: map[jsonrpc.ID]*exchange{}}
}

// Connect implements [mcp.Transport].
func (p *pipes) Connect(context.Context) (mcp.Connection, error) { return p, nil }

// SessionID implements [mcp.Connection]; there is none here.
func (p *pipes) SessionID() string { return "" }

// Close implements [mcp.Connection]. The program ends with its connection.
func (p *pipes) Close() error {
	p.mu.Lock()
	if p.asked = (jsonrpc.ID{}); p.known != nil {
		p.known.Stop()
	}
	p.mu.Unlock()
	go p.end()
	_ = p.stdout.SetReadDeadline(time.Now())
	return nil
}

// Read implements [mcp.Connection]. A line that does not even look like a message is a program's chatter: it is kept as
// evidence, and not taken for an answer. One that looks like a message and is none is somebody's answer that nobody can
// read, and then it is not known whose.
func (p *pipes) Read(context.Context) (jsonrpc.Message, error) {
	for {
		line, err := p.line()
		if m := p.older(err); m != nil {
			return m, nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed) {
			err = io.EOF // it was closed here
		}
		if err != nil {
			p.failAll(err)
			return nil, err
		}
		if text := bytes.TrimSpace(line); len(text) == 0 || text[0] != '{' && text[0] != '[' {
			_, _ = p.process.Write(line)
			continue
		}
		m, err := decode(line)
		if err != nil {
			p.failAll(err)
			return nil, err
		}
		return p.noted(m), nil
	}
}

func (p *pipes) line() ([]byte, error) {
	for {
		part, err := p.lines.ReadSlice('\n')
		p.half = append(p.half, part...)
		switch {
		case len(p.half) > maxMessage:
			return nil, executor.TooLarge(executor.Head(p.half, detailBytes), maxMessage)
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil:
			return nil, err
		default:
			line := p.half
			p.half = nil
			return line, nil
		}
	}
}

// older is the refusal in the place of one that has not come; nil if that is not why nothing was read.
func (p *pipes) older(err error) jsonrpc.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !errors.Is(err, os.ErrDeadlineExceeded) || !p.silent || !p.asked.IsValid() {
		return nil
	}
	id := p.asked
	p.asked = jsonrpc.ID{}
	_ = p.stdout.SetReadDeadline(time.Time{})
	return &jsonrpc.Response{ID: id, Error: &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "no answer within " + knownTime.String()}}
}

// ask waits for the answer to the first message that only servers of the present protocol know.
func (p *pipes) ask(m jsonrpc.Message) {
	r, ok := m.(*jsonrpc.Request)
	if !ok || r.Method != "server/discover" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = r.ID
	p.known = time.AfterFunc(knownTime, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.asked.IsValid() {
			p.silent = true
			_ = p.stdout.SetReadDeadline(time.Now())
		}
	})
}

// noted gives an answer to the request that waits for it.
func (p *pipes) noted(m jsonrpc.Message) jsonrpc.Message {
	r, ok := m.(*jsonrpc.Response)
	if !ok {
		return m
	}
	p.mu.Lock()
	if p.asked.IsValid() && r.ID == p.asked {
		p.asked = jsonrpc.ID{}
		p.known.Stop()
	}
	e := p.waiting[r.ID]
	delete(p.waiting, r.ID)
	p.mu.Unlock()
	if e == nil {
		return m
	}
	return e.answer(r)
}

// failAll tells all requests without an answer why they get none, if it is a fault of the answer.
func (p *pipes) failAll(err error) {
	f, ok := errors.AsType[steps.Fault](err)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.waiting {
		e.lose(f)
	}
}

// Write implements [mcp.Connection]. It waits no longer than ctx for a program that does not read. Half a message would
// spoil all that follow, so then the connection ends.
func (p *pipes) Write(ctx context.Context, m jsonrpc.Message) error {
	defer noteCancel(ctx, m)
	line, err := jsonrpc.EncodeMessage(m)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case p.turn <- struct{}{}:
	}
	defer func() { <-p.turn }()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e := exchangeOf(ctx, m); e != nil {
		p.wait(ctx, m.(*jsonrpc.Request), e)
	}
	p.ask(m)
	return p.write(ctx, append(line, '\n'))
}

func (p *pipes) wait(ctx context.Context, r *jsonrpc.Request, e *exchange) {
	e.send(r)
	p.mu.Lock()
	p.waiting[r.ID] = e
	p.mu.Unlock()
	context.AfterFunc(ctx, func() { // nobody wants its answer any more
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.waiting, r.ID)
	})
}

func (p *pipes) write(ctx context.Context, line []byte) error {
	passed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = p.stdin.SetWriteDeadline(time.Now())
		close(passed)
	})
	n, err := p.stdin.Write(line)
	if !stop() {
		<-passed
		_ = p.stdin.SetWriteDeadline(time.Time{})
	}
	if err == nil {
		return nil
	}
	if n > 0 || ctx.Err() == nil {
		_ = p.Close()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
