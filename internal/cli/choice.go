package cli

import (
	"fmt"
	"slices"
	"strings"
)

// Choice is the value of a flag that takes one of a few words.
type Choice struct {
	into  *string
	words []string
}

// OneOf makes a flag that sets *into to one of these words; def, its default, is one of them or empty.
func OneOf(into *string, def string, words ...string) Choice {
	*into = def
	return Choice{into, words}
}

// String implements pflag.Value.
func (c Choice) String() string { return *c.into }

// Set implements pflag.Value.
func (c Choice) Set(s string) error {
	if !slices.Contains(c.words, s) {
		last := len(c.words) - 1
		return fmt.Errorf("must be %s or %s", strings.Join(c.words[:last], ", "), c.words[last])
	}
	*c.into = s
	return nil
}

// Type implements pflag.Value; help shows it.
func (c Choice) Type() string { return strings.Join(c.words, "|") }
