package steps

import (
	"strconv"
	"strings"
)

// deadLetterMark stands between what a dead letter is about and the sequence in its id; an escalation of a run's own has
// digits there and nothing else.
const deadLetterMark = "-dl"

// EscalationID names escalation n of a run, counted from 1.
func EscalationID(run string, n int) string { return run + "-" + strconv.Itoa(n) }

// DeadLetterID names the dead letter about the message with this sequence: of a run's log, or of a stream where the
// message belongs to no run. It is made from the log alone, so that every dispatcher that meets the message raises the
// same one.
func DeadLetterID(of string, seq uint64) string {
	return of + deadLetterMark + strconv.FormatUint(seq, 10)
}

// ParseDeadLetterID is the reverse of [DeadLetterID]; not ok when id names an escalation of another kind, or none.
func ParseDeadLetterID(id string) (of string, seq uint64, ok bool) {
	i := strings.LastIndex(id, deadLetterMark)
	if i <= 0 {
		return "", 0, false
	}
	digits := id[i+len(deadLetterMark):]
	seq, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || digits != strconv.FormatUint(seq, 10) {
		return "", 0, false
	}
	return id[:i], seq, true
}

// IsDeadLetter reports whether id names a dead letter.
func IsDeadLetter(id string) bool {
	_, _, ok := ParseDeadLetterID(id)
	return ok
}

// RunOfEscalation is the run that an escalation's id belongs to; not ok when id names no escalation. Of a dead letter
// about what belongs to no run it may be the name of a stream.
func RunOfEscalation(id string) (run string, ok bool) {
	if of, _, ok := ParseDeadLetterID(id); ok {
		return of, true
	}
	i := strings.LastIndexByte(id, '-')
	if i <= 0 || i+1 == len(id) || strings.Trim(id[i+1:], "0123456789") != "" {
		return "", false
	}
	return id[:i], true
}
