package cli

import (
	"fmt"
	"slices"
	"strings"
)

// choice is a flag whose value is one of a few words.
type choice struct {
	into  *string
	words []string
}

// oneOf makes *into a flag that takes these words; def is among them, or empty.
func oneOf(into *string, def string, words ...string) choice {
	*into = def
	return choice{into, words}
}

// String implements pflag.Value.
func (c choice) String() string { return *c.into }

// Set implements pflag.Value.
func (c choice) Set(s string) error {
	if !slices.Contains(c.words, s) {
		last := len(c.words) - 1
		return fmt.Errorf("it is %s or %s", strings.Join(c.words[:last], ", "), c.words[last])
	}
	*c.into = s
	return nil
}

// Type implements pflag.Value; help shows it.
func (c choice) Type() string { return strings.Join(c.words, "|") }
