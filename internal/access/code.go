package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"sync"
	"time"
)

// What somebody hears who has shown a code that opens nothing.
var (
	ErrCode    = errors.New("this is not the sign-in code: dispatcher dev prints it in its terminal, a new one at every start")
	ErrTooMany = errors.New("too many wrong sign-in codes: wait a minute")
)

// Bounds of wrong codes, from wherever they come: whoever reaches a loopback address is not told apart by it.
const (
	mostWrong = 10          // in a window
	window    = time.Minute // from the first one
)

// Code is what shows that somebody can read the terminal of `dispatcher dev`. It is of one process and stored nowhere. A nil
// code opens nothing. It is safe for concurrent use.
type Code struct {
	text, session string

	mu    sync.Mutex
	from  time.Time // of the first wrong one in the window
	wrong int

	proofs once
}

// NewCode makes a code of at least 128 random bits.
func NewCode() *Code { return &Code{text: rand.Text(), session: rand.Text()} }

// Text is the code, for the terminal alone.
func (c *Code) Text() string { return c.text }

// Session is what a browser that has signed in shows from then on, in the code's place.
func (c *Code) Session() string { return c.session }

// Check returns [ErrCode] for a wrong code, and [ErrTooMany] where too many were wrong lately. The right one opens however
// many wrong ones came before it: nobody can lock the person out, and 128 bits are not guessed.
func (c *Code) Check(text string, now time.Time) error {
	if c == nil {
		return ErrCode
	}
	if same(c.text, text) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !now.Before(c.from.Add(window)) {
		c.from, c.wrong = now, 0
	}
	if c.wrong >= mostWrong {
		return ErrTooMany
	}
	c.wrong++
	return ErrCode
}

// IsSession reports whether a browser has signed in.
func (c *Code) IsSession(text string) bool { return c != nil && same(c.session, text) }

// same compares in a time that depends on neither text.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
