// Package exactjsontest fuzzes readers of JSON documents: what a reader takes is written again and reads the same, no key is
// taken in another case or twice, and what a reader says of the rest fits into a line of a log.
package exactjsontest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Fuzz fuzzes a reader of documents, beginning with those given.
func Fuzz[T any](f *testing.F, read func([]byte) (T, error), seeds ...T) {
	f.Helper()
	for _, s := range seeds {
		body, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, body := range []string{``, `null`, `{}`, `[]`, `{"v":1,"v":1}`, `{"V":1}`, "{\"\xff\":\"\xff\"}"} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		was := bytes.Clone(body)
		v, err := read(body)
		if !bytes.Equal(was, body) {
			t.Fatal("the reader changes what it reads")
		}
		if err != nil {
			Message(t, err)
			return
		}
		comesBack(t, v, read)
		keys(t, body, read)
	})
}

// mostMessage is what an error may take, in bytes.
const mostMessage = 1 << 10

// Message fails where an error does not fit into a line of a log.
func Message(t testing.TB, err error) {
	t.Helper()
	text := err.Error()
	if text == "" || len(text) > mostMessage || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		t.Fatalf("the error is %q", text)
	}
}

// comesBack writes what was read, reads it, and writes it once more.
func comesBack[T any](t *testing.T, v T, read func([]byte) (T, error)) {
	t.Helper()
	once, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	back, err := read(once)
	if err != nil {
		t.Fatalf("%s\nis not read: %v", once, err)
	}
	if twice, err := json.Marshal(back); err != nil || !bytes.Equal(once, twice) {
		t.Fatalf("written as\n%s\nthen as\n%s\n%v", once, twice, err)
	}
}

// keys reads a document with each of its keys in two cases, and expects that at least one of them counts for nothing; and with
// each of them twice, and expects nothing.
func keys[T any](t *testing.T, body []byte, read func([]byte) (T, error)) {
	t.Helper()
	var all map[string]json.RawMessage
	if json.Unmarshal(body, &all) != nil {
		return
	}
	for name, value := range all {
		other := swapped(name)
		if _, there := all[other]; there || other == name {
			continue
		}
		delete(all, name)
		without := write(t, all)
		ignored(t, read, without, with(t, without, other, value), with(t, without, name, value))
		all[name] = value
		if v, err := read(with(t, write(t, all), name, value)); err == nil {
			t.Fatalf("%q occurs twice, and is read as %+v", name, v)
		}
	}
}

// ignored expects that one of two documents at least is refused, or read as if its last key were not there.
func ignored[T any](t *testing.T, read func([]byte) (T, error), without []byte, documents ...[]byte) {
	t.Helper()
	plain, none := read(without)
	var said []string
	for _, body := range documents {
		v, err := read(body)
		if err != nil {
			return
		}
		got := write(t, v)
		if none == nil && bytes.Equal(got, write(t, plain)) {
			return
		}
		said = append(said, string(body)+"\nis read as\n"+string(got))
	}
	t.Fatalf("%s\nwithout the last key as\n%s (%v)", strings.Join(said, "\n"), write(t, plain), none)
}

// swapped is a key in another case.
func swapped(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLower(r) {
			return unicode.ToUpper(r)
		}
		return unicode.ToLower(r)
	}, name)
}

// with appends a key to an object.
func with(t *testing.T, object []byte, name string, value json.RawMessage) []byte {
	t.Helper()
	out := object[: len(object)-1 : len(object)-1]
	if len(out) > 1 {
		out = append(out, ',')
	}
	out = append(append(out, write(t, name)...), ':')
	return append(append(out, value...), '}')
}

func write(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
