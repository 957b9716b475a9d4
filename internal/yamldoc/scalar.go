package yamldoc

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Text reads a string.
func (r *Reader) Text(n *yaml.Node) (string, bool) {
	switch {
	case IsString(n):
		return n.Value, true
	case n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null":
		r.At(n, `quote it: "`+n.Value+`"`, "expected a string, not %s", KindOf(n))
	case n.Kind == yaml.ScalarNode:
		r.At(n, "", "the value is missing")
	default:
		r.At(n, "", "expected a string, not %s", KindOf(n))
	}
	return "", false
}

// Checked reads a name that must satisfy valid; the rule says in words what is valid.
func (r *Reader) Checked(into *string, valid func(string) bool, rule string) Field {
	return func(n *yaml.Node) {
		s, ok := r.Text(n)
		if ok && !valid(s) {
			r.At(n, rule, "%q is not a valid name", Shorten(s))
			return
		}
		if ok {
			*into = s
		}
	}
}

// Choice reads one word of a closed set.
func Choice[T ~string](r *Reader, into *T, words ...T) Field {
	return func(n *yaml.Node) {
		s, ok := r.Text(n)
		if !ok {
			return
		}
		known := make([]string, len(words))
		for i, w := range words {
			known[i] = string(w)
		}
		if !slices.Contains(known, s) {
			r.At(n, OneOf(s, known), "%q is not allowed here", Shorten(s))
			return
		}
		*into = T(s)
	}
}

// Bool reads true or false.
func (r *Reader) Bool(into *bool) Field {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
			r.At(n, "", "expected true or false, not %s", KindOf(n))
			return
		}
		*into = strings.EqualFold(n.Value, "true")
	}
}

// Int reads a whole number from least to most.
func (r *Reader) Int(into *int, least, most int) Field {
	return func(n *yaml.Node) {
		i, err := strconv.Atoi(n.Value)
		huge := errors.Is(err, strconv.ErrRange) && !IsString(n) // which YAML takes for one with a fraction
		if n.Kind != yaml.ScalarNode || !huge && (n.ShortTag() != "!!int" || err != nil) || !jsonNumber(n.Value) {
			r.At(n, "", "expected a whole number, not %s", shown(n))
			return
		}
		if huge || i < least || i > most {
			r.At(n, fmt.Sprintf("from %d to %d", least, most), "%s is out of range", n.Value)
			return
		}
		*into = i
	}
}

// Float reads a number from least to most.
func (r *Reader) Float(into *float64, least, most float64) Field {
	return func(n *yaml.Node) {
		f, err := strconv.ParseFloat(n.Value, 64)
		if n.Kind != yaml.ScalarNode || err != nil || !jsonNumber(n.Value) || IsString(n) {
			r.At(n, "", "expected a number, not %s", shown(n))
			return
		}
		if f < least || f > most {
			r.At(n, "from "+Number(least)+" to "+Number(most), "%s is out of range", n.Value)
			return
		}
		*into = f
	}
}

// Number is a number as people write it, without an exponent.
func Number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// Duration reads a length of time of at least the given one: 500ms, 90s, 1h30m, 30d.
func Duration[D ~int64](r *Reader, into *D, least time.Duration) Field {
	return func(n *yaml.Node) {
		const hint = "like 500ms, 30s, 10m, 24h or 30d"
		if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
			r.At(n, `a number needs its unit: `+n.Value+`s`, "%s is not a duration", n.Value)
			return
		}
		s, ok := r.Text(n)
		if !ok {
			return
		}
		d, err := ParseDuration(s)
		switch {
		case err != nil:
			r.At(n, hint, "%q %v", Shorten(s), err)
		case d < least:
			r.At(n, "", "the duration %s is too short: the minimum is %s", s, least)
		default:
			*into = D(d)
		}
	}
}

// jsonNumber reports whether s is a number as JSON writes it, of any size.
func jsonNumber(s string) bool {
	return s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') && json.Valid([]byte(s))
}

func shown(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.Value != "" {
		return strconv.Quote(Shorten(n.Value))
	}
	return KindOf(n)
}
