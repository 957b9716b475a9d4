package steps

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Canonical is raw with its keys sorted, without spaces, and with numbers exactly as they were written. A key that occurs
// twice is an error: two readers could read two different things.
func Canonical(raw json.RawMessage) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := distinct(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// distinct reads one value and refuses objects in which a key occurs twice.
func distinct(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		return distinctObject(d)
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := distinct(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return t, nil
}

func distinctObject(d *json.Decoder) (any, error) {
	object := map[string]any{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("the key %q occurs twice", name)
		}
		if object[name], err = distinct(d); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return object, err
}

// CallDigest is what an approval of a call is bound to: SHA-256, in hex, over the tool's name, its definition and the
// canonical parameters. Parameters that are not JSON, or are ambiguous, have none.
func (t *Tool) CallDigest(params json.RawMessage) (string, error) {
	canonical, err := Canonical(params)
	if err != nil {
		return "", fmt.Errorf("parameters of %s: %w", t.Name, err)
	}
	definition, err := json.Marshal(t.Definition)
	if err != nil {
		return "", fmt.Errorf("definition of %s: %w", t.Name, err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "belay call v1\n%s\n%s\n%s\n", t.Name, definition, canonical)
	return hex.EncodeToString(h.Sum(nil)), nil
}
