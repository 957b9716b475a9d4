package harness

import (
	"fmt"
	"strconv"
	"strings"
)

// PayloadSize is the size of what is handed from step to step.
const PayloadSize = 256

// Payload is the input of a run's first step.
func Payload(id int) string {
	return encode(id, 0)
}

const filler = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ+-"

var fill = strings.Repeat(filler, PayloadSize/len(filler)+1)

func encode(id, step int) string {
	var a [PayloadSize]byte
	p := appendPadded(a[:0], id)
	p = append(p, ':')
	p = appendPadded(p, step)
	p = append(p, ':')
	p = append(p, fill[:PayloadSize-len(p)]...)
	return string(p)
}

func appendPadded(p []byte, n int) []byte {
	var d [10]byte
	for i := len(d) - 1; i >= 0; i-- {
		d[i] = byte('0' + n%10)
		n /= 10
	}
	return append(p, d[:]...)
}

// Decode gives the run id and the number of steps done.
func Decode(payload string) (id, step int, err error) {
	if len(payload) != PayloadSize || payload[10] != ':' || payload[21] != ':' {
		return 0, 0, fmt.Errorf("peerbench: payload of %d bytes is malformed", len(payload))
	}
	if id, err = strconv.Atoi(payload[:10]); err != nil {
		return 0, 0, err
	}
	step, err = strconv.Atoi(payload[11:21])
	return id, step, err
}
