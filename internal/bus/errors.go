package bus

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// The errors of a publish. Any other error is a refusal that repeating does not change.
var (
	ErrConflict  = errors.New("the subject has another last sequence")                  // Expect was not met; nothing was stored
	ErrQueued    = errors.New("there is already a message on this subject")             // one message per subject; nothing was stored
	ErrFull      = errors.New("the stream or its disk is full")                         // nothing was stored; it may work later
	ErrUncertain = errors.New("no answer: the message may or may not have been stored") // publish it again; being readable proves nothing
	ErrTooLarge  = errors.New("larger than the NATS server accepts")                    // a [TooLarge]; nothing was stored
)

// errNoStream is what the server says where a stream is not there, or all of JetStream is switched off.
var errNoStream = errors.New("no stream has this subject now")

// TooLarge is an [ErrTooLarge] with the sizes.
type TooLarge struct {
	What       string // the subject or the key that it was for
	Size, Most int64  // bytes
}

func (t *TooLarge) Error() string {
	return fmt.Sprintf("refused: %d bytes for %s, the NATS server accepts %d (its max_payload): make it smaller, or raise max_payload in the server's configuration", t.Size, t.What, t.Most)
}

// Is makes errors.Is(err, ErrTooLarge) true.
func (t *TooLarge) Is(target error) bool { return target == ErrTooLarge }

// pubAck is the server's answer to a publish or to the end of a batch.
type pubAck struct {
	Stream string    `json:"stream"`
	Seq    uint64    `json:"seq"`
	Count  int       `json:"count"`
	Error  *apiError `json:"error"`
}

type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

// Error codes of the server that matter to a publisher.
const (
	codeWrongLastSequence    = 10071
	codeWrongLastSequenceAny = 10164
	codeStoreFailed          = 10077
	codeNoResources          = 10023
	codeStorageExceeded      = 10047
	codeMemoryExceeded       = 10028
	codeAccountExceeded      = 10002
	codeNoMessage            = 10037
	codeNotClustered         = 10074
	codeNoPeers              = 10005
	codeConsumerStore        = 10012
	codeMaxBytesRequired     = 10113
	codeMaxStreamBytes       = 10122
)

// verdict reads the server's answer.
func verdict(stream string, m *nats.Msg) (pubAck, error) {
	if m.Header.Get("Status") == "503" {
		return pubAck{}, fmt.Errorf("publish to %s: %w (%w)", stream, ErrUncertain, errNoStream)
	}
	var a pubAck
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return a, fmt.Errorf("publish to %s: %w: unreadable answer: %w", stream, ErrUncertain, err)
	}
	if a.Error != nil {
		return a, fmt.Errorf("publish to %s: %w", stream, a.Error.kind())
	}
	return a, nil
}

func (e *apiError) Error() string { return fmt.Sprintf("%s (code %d)", e.Description, e.ErrCode) }

func (e *apiError) kind() error {
	switch {
	case e.ErrCode == codeWrongLastSequence || e.ErrCode == codeWrongLastSequenceAny:
		return ErrConflict
	case strings.Contains(e.Description, "maximum messages per subject exceeded"):
		return ErrQueued // a full stream has the same code and another text
	case e.ErrCode == codeStoreFailed, e.ErrCode == codeNoResources, e.ErrCode == codeStorageExceeded,
		e.ErrCode == codeMemoryExceeded, e.ErrCode == codeAccountExceeded:
		return fmt.Errorf("%w: %s", ErrFull, e.Description)
	case e.Code == 503:
		return fmt.Errorf("%w: %s", ErrUncertain, e.Description)
	}
	return fmt.Errorf("refused: %w", e)
}
