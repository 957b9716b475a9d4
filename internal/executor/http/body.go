package httpexec

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"

	"belay/internal/executor"
	"belay/internal/steps"
)

// maxEncodings is how many times over an answer may be compressed.
const maxEncodings = 4

// plainBody is the answer's body without its compression. net/http decompresses only what it asked for itself; a rung
// may ask with its own header, and some services compress unasked.
func plainBody(resp *http.Response) (io.Reader, error) {
	var all []string
	for _, line := range resp.Header.Values("Content-Encoding") {
		all = append(all, strings.Split(line, ",")...)
	}
	if len(all) > maxEncodings {
		return nil, executor.Unusable(fmt.Sprintf("the answer is compressed %d times over", len(all)), "")
	}
	body := io.Reader(resp.Body)
	for _, name := range slices.Backward(all) { // the last one was put on last
		var err error
		if body, err = decompressed(strings.ToLower(strings.TrimSpace(name)), body); err != nil {
			return nil, err
		}
	}
	return body, nil
}

func decompressed(name string, body io.Reader) (io.Reader, error) {
	switch name {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		return &lazy{body: body, open: func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }}, nil
	case "deflate":
		return &lazy{body: body, open: inflate}, nil
	}
	return nil, executor.Unusable(fmt.Sprintf("the answer is compressed as %.40q, which is not supported: do not ask for it in Accept-Encoding", name), "")
}

// inflate reads the encoding deflate: with the header of zlib, as the standard says, or without it, as some servers
// send it.
func inflate(r io.Reader) (io.Reader, error) {
	var head [2]byte
	n, err := io.ReadFull(r, head[:])
	if n == 0 {
		return nil, err
	}
	r = io.MultiReader(bytes.NewReader(head[:n]), r)
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(r)
	}
	return flate.NewReader(r), nil
}

// lazy opens a compressed body at the first read. One that is empty is not even compressed.
type lazy struct {
	body, plain io.Reader
	open        func(io.Reader) (io.Reader, error)
}

func (l *lazy) Read(b []byte) (int, error) {
	if l.plain == nil {
		plain, err := l.open(l.body)
		if err != nil {
			return 0, err
		}
		l.plain = plain
	}
	return l.plain.Read(b)
}

// broken reports whether err is about what was sent, and not about the connection it came through.
func broken(err error) bool {
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	return corrupt || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, zlib.ErrHeader) || errors.Is(err, zlib.ErrChecksum)
}

// decodeText converts a body to UTF-8 from the charset in its header. A byte order mark at its beginning takes
// precedence.
func decodeText(body []byte, contentType string) ([]byte, error) {
	switch {
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		return body[3:], nil
	case bytes.HasPrefix(body, []byte("\xff\xfe")), bytes.HasPrefix(body, []byte("\xfe\xff")):
		return unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM).NewDecoder().Bytes(body)
	}
	_, params, _ := mime.ParseMediaType(contentType) // one that cannot be read names no charset
	name := strings.ToLower(strings.TrimSpace(params["charset"]))
	if name == "" || name == "us-ascii" || name == "ascii" {
		return body, nil
	}
	e, err := charset(name, body)
	if err != nil {
		return nil, err
	}
	return e.NewDecoder().Bytes(body)
}

func charset(name string, body []byte) (encoding.Encoding, error) {
	if name == "utf-16" {
		return unicode.UTF16(endianness(body), unicode.IgnoreBOM), nil
	}
	e, err := htmlindex.Get(name)
	if err != nil || e == encoding.Replacement {
		return nil, executor.Unusable(fmt.Sprintf("the answer is in the charset %.40q, which is not supported", name), executor.Head(body, detailBytes))
	}
	if e == unicode.UTF8 {
		return encoding.Nop, nil // invalid bytes stay, and are found
	}
	return e, nil
}

// endianness guesses how UTF-16 without a byte order mark is written: an answer mostly begins with an ASCII character.
func endianness(body []byte) unicode.Endianness {
	if len(body) > 1 && body[0] != 0 && body[1] == 0 {
		return unicode.LittleEndian
	}
	return unicode.BigEndian
}

// unreadable is the fault of a body that broke while it was read.
func unreadable(err error) (steps.Fault, bool) {
	if f, ok := errors.AsType[steps.Fault](err); ok {
		return f, true
	}
	if broken(err) {
		return executor.Unusable("the answer's compression is broken: "+err.Error(), ""), true
	}
	return steps.Fault{}, false
}
