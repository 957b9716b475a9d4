// Package exactjson reads JSON whose keys are exact. To encoding/json "tYpe" is "type", and of two values with one key
// the last one counts; other readers of the same bytes see something else, and what was signed, shown or recorded is then
// not what is done. Here a key of a struct is what it is called and nothing else, and no key may occur twice.
//
// What a type leaves undecoded (json.RawMessage, any, types that read themselves) is data, and is left as it is.
package exactjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Unmarshal is [json.Unmarshal] with exact keys. A key that differs from a known one by case only is unknown, and ignored.
func Unmarshal(body []byte, into any) error {
	body, err := exact(body, into)
	if err != nil {
		return err
	}
	return short(json.Unmarshal(body, into))
}

// Strict also refuses unknown keys, and whatever follows the value. An empty body is [io.EOF].
func Strict(body []byte, into any) error {
	body, err := exact(body, into)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return short(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// Distinct refuses a body in which a key occurs twice, however deep. The caller has checked how deep it is.
func Distinct(body []byte) error {
	w := walk{b: body}
	w.value(whatever)
	return w.err
}

// exact is the body with the keys made unreadable that encoding/json would take for others.
func exact(body []byte, into any) ([]byte, error) {
	w := walk{b: body}
	w.value(shapeOf(reflect.TypeOf(into)))
	if w.err != nil {
		return nil, w.err
	}
	if len(w.alike) == 0 {
		return body, nil
	}
	body = bytes.Clone(body)
	for _, key := range w.alike {
		for i := key.from; i < key.to; i++ {
			body[i] = unread
		}
	}
	return body, nil
}

// unread is what a key is made of that nothing is read from. No field has such a name.
const unread = '~'

// mostError is what an error may take, in bytes.
const mostError = 300

// short is an error that fits into a line: encoding/json, and types that read themselves, repeat what they could not read, however long
// that is and whatever is in it.
func short(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if len(text) <= mostError && !strings.ContainsFunc(text, unicode.IsControl) {
		return err
	}
	if text = strings.Map(shown, text); len(text) > mostError {
		text = strings.ToValidUTF8(text[:mostError], "") + "…"
	}
	return errors.New(text)
}

// shown is a letter as it may stand in a line.
func shown(r rune) rune {
	if unicode.IsControl(r) {
		return utf8.RuneError
	}
	return r
}

// errTwice names a key that occurs twice.
func errTwice(name string) error {
	const most = 64
	if len(name) > most {
		name = name[:most]
	}
	return fmt.Errorf("the key %+q occurs twice", name)
}
