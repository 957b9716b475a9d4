package observe

import (
	"maps"
	"slices"
	"strings"
)

// carrier reads and writes trace context in the headers of a NATS message. Their keys are case-sensitive: the standard
// is lower case, which propagation.HeaderCarrier would not keep.
type carrier map[string][]string

// Get finds a key in any case, because others write it differently.
func (c carrier) Get(key string) string {
	if v := c[key]; len(v) > 0 {
		return v[0]
	}
	for k, v := range c {
		if len(v) > 0 && strings.EqualFold(k, key) {
			return v[0]
		}
	}
	return ""
}

// Set writes a key in lower case.
func (c carrier) Set(key, value string) { c[strings.ToLower(key)] = []string{value} }

// Keys lists the keys.
func (c carrier) Keys() []string { return slices.Sorted(maps.Keys(c)) }
