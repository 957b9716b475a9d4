package mcpexec

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"belay/internal/executor"
	"belay/internal/steps"
)

// stream is a stream of events in answer to a call. It passes on what it reads, event by event, but for the answer, which
// goes to the exchange; the library gets another one in its place.
type stream struct {
	e     *exchange
	body  io.ReadCloser
	lines *bufio.Reader
	ready []byte // to be read
	over  error  // then
	ids   bool   // events had ids: the stream can be taken up again where it broke
}

func newStream(e *exchange, body io.ReadCloser) *stream {
	return &stream{e: e, body: body, lines: bufio.NewReaderSize(body, 16<<10)}
}

// Close implements [io.Closer].
func (s *stream) Close() error { return s.body.Close() }

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (int, error) {
	for len(s.ready) == 0 {
		if s.over != nil {
			return 0, s.over
		}
		s.ready, s.over = s.event()
	}
	n := copy(p, s.ready)
	s.ready = s.ready[n:]
	return n, nil
}

// event reads the next event and gives what is passed on of it.
func (s *stream) event() ([]byte, error) {
	var event, data []byte
	for {
		line, err := s.line(len(event))
		if err != nil {
			return s.broke(err)
		}
		field, value, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch {
		case len(bytes.TrimRight(line, "\r\n")) == 0:
			return s.passed(append(event, line...), event, data), nil
		case string(field) == "data":
			if data != nil {
				data = append(data, '\n')
			}
			data = append(data, value...)
			event = append(event, line...)
		default:
			s.ids = s.ids || string(field) == "id" && len(value) > 0
			event = append(event, line...)
		}
	}
}

func (s *stream) line(before int) ([]byte, error) {
	var line []byte
	for {
		part, err := s.lines.ReadSlice('\n')
		line = append(line, part...)
		if len(line)+before > maxMessage {
			return nil, executor.TooLarge(executor.Head(line, detailBytes), maxMessage)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// passed is the event itself, or one in the place of the answer.
func (s *stream) passed(whole, event, data []byte) []byte {
	if len(bytes.TrimSpace(data)) == 0 {
		return whole
	}
	m, err := decode(data)
	if err == nil {
		r, is := m.(*jsonrpc.Response)
		if !is || r.ID != s.e.id {
			return whole
		}
	}
	answer, ok := s.e.read(data)
	if !ok {
		answer = encodeError(s.e.id)
	}
	return eventOf(answer)
}

// broke notes that there is no answer, unless the library can take up the stream again.
func (s *stream) broke(err error) ([]byte, error) {
	if f, ok := errors.AsType[steps.Fault](err); ok {
		s.e.failed(f)
		return errorEvent(s.e.id), io.EOF
	}
	s.e.mu.Lock()
	if s.ids {
		s.e.resumed = 0 // it got on
	}
	more := s.ids || s.e.resumed > 0 && s.e.resumed < resumes
	s.e.mu.Unlock()
	if !more {
		s.e.failed(steps.Fault{Class: steps.Connection, Acted: steps.ActedMaybe, Message: "the connection was closed before the answer arrived"})
		return errorEvent(s.e.id), io.EOF
	}
	return nil, err
}

// errorEvent is an event in the place of an answer that is noted already, or will not come.
func errorEvent(id jsonrpc.ID) []byte { return eventOf(encodeError(id)) }

func eventOf(message []byte) []byte {
	return append(append([]byte("data: "), compact(message)...), "\n\n"...)
}
