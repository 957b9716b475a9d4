package modelexec

import (
	"errors"
	"io"
	"unicode/utf8"
)

// headBytes is how much of an answer is kept as evidence.
const headBytes = 2 << 10

var errTooLong = errors.New("the answer is too long")

// body bounds what is read of an answer, and keeps its beginning as evidence. The libraries read without a bound, and
// replace bytes that are no UTF-8.
type body struct {
	io.ReadCloser
	left  int
	head  []byte
	cut   []byte // an incomplete character at the end of what was read
	wrong bool   // it is not valid UTF-8
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	b.head = append(b.head, p[:min(n, headBytes-len(b.head))]...)
	b.check(p[:n])
	if err != nil && len(b.cut) > 0 {
		b.wrong = true
	}
	return n, err
}

// check looks for bytes that are no UTF-8; a character may be in two parts.
func (b *body) check(p []byte) {
	if b.wrong || len(p) == 0 {
		return
	}
	if len(b.cut) > 0 {
		p = append(b.cut, p...)
	}
	end := len(p)
	for i := 1; i < utf8.UTFMax && i <= len(p); i++ {
		if utf8.RuneStart(p[len(p)-i]) {
			if !utf8.FullRune(p[len(p)-i:]) {
				end = len(p) - i
			}
			break
		}
	}
	b.wrong = !utf8.Valid(p[:end])
	b.cut = append([]byte(nil), p[end:]...)
}
