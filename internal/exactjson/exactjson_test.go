package exactjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// sample has everything that the types of Belay are made of.
type sample struct {
	Type  string            `json:"type"`
	K     int               `json:"ks"` // both letters have a third case
	Plain string            // without a tag
	At    time.Time         `json:"at,omitzero"`
	In    inner             `json:"in"`
	To    *inner            `json:"to,omitempty"`
	Many  []inner           `json:"many,omitempty"`
	Named map[string]inner  `json:"named,omitempty"`
	Words map[string]string `json:"words,omitempty"`
	Raw   json.RawMessage   `json:"raw,omitempty"`
	Any   any               `json:"any,omitempty"`
	Off   string            `json:"-"`
	embedded
}

type inner struct {
	Type string  `json:"type,omitempty"`
	Next *sample `json:"next,omitempty"`
}

type embedded struct {
	Deep int    `json:"deep,omitempty"`
	Type string `json:"type"` // less deep is another one
}

func TestKeysAreExact(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]sample{
		`{"type":"a"}`:                             {Type: "a"},
		`{"tYpe":"a"}`:                             {},
		`{"type":"a","tYpe":"b","TYPE":"c"}`:       {Type: "a"},
		`{"t\u0059pe":"b","t\u0079pe":"a"}`:        {Type: "a"},
		`{"k` + "\u017f" + `":1}`:                  {},
		"{\"\u212as\":1,\"ks\":2}":                 {K: 2},
		`{"plain":"a","Plain":"b"}`:                {Plain: "b"},
		`{"DEEP":1}`:                               {},
		`{"deep":1}`:                               {embedded: embedded{Deep: 1}},
		`{"in":{"Type":"a"},"x":{"a":1,"a":2}}`:    {},
		`{"to":{"Type":"a"}}`:                      {To: &inner{}},
		`{"many":[{"Type":"a"},{"type":"b"}]}`:     {Many: []inner{{}, {Type: "b"}}},
		`{"named":{"Type":{"TYPE":""},"type":{}}}`: {Named: map[string]inner{"Type": {}, "type": {}}},
		`{"words":{"A":"1","a":"2"}}`:              {Words: map[string]string{"A": "1", "a": "2"}},
		`{"raw":{"type":1,"tYpe":2,"type":3}}`:     {Raw: json.RawMessage(`{"type":1,"tYpe":2,"type":3}`)},
		`{"any":{"Type":"a"},"Off":"x","off":""}`:  {Any: map[string]any{"Type": "a"}},
		` { "type" : "a" , "many" : [ ] } `:        {Type: "a", Many: []inner{}},
		`null`:                                     {},
	} {
		var got sample
		before := strings.Clone(body)
		err := Unmarshal([]byte(body), &got)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(sample{}), cmp.AllowUnexported(embedded{})); err != nil || diff != "" || body != before {
			t.Errorf("%s: %v\n%s", body, err, diff)
		}
	}
}

func TestNoKeyOccursTwice(t *testing.T) {
	t.Parallel()
	var ten strings.Builder
	for _, c := range "abcdefghijkl" {
		ten.WriteString(`,"` + string(c) + `":1`)
	}
	for body, name := range map[string]string{
		`{"type":"a","type":"a"}`:                                                   "type",
		`{"type":"a","t\u0079pe":"b"}`:                                              "type",
		`{"v":1,"v":2}`:                                                             "v",
		`{"x":1` + ten.String() + `,"y":1,"c":2}`:                                   "c",
		`{"x":1` + ten.String() + `,"y":1,"y":2}`:                                   "y",
		`{"in":{"type":"a","type":"b"}}`:                                            "type",
		`{"many":[{},{"next":{"deep":1,"deep":1}}]}`:                                "deep",
		`{"words":{"a":"1","a":"2"}}`:                                               "a",
		`{"named":{"a":{},"a":{}}}`:                                                 "a",
		"{\"words\":{\"\xff\":\"1\",\"\xfe\":\"2\"}}":                               `\ufffd`,
		`{"` + strings.Repeat("x", 99) + `":1,"` + strings.Repeat("x", 99) + `":1}`: strings.Repeat("x", 64),
	} {
		if err := Unmarshal([]byte(body), new(sample)); err == nil || err.Error() != `the key "`+name+`" occurs twice` {
			t.Errorf("%s: %v", body, err)
		}
	}
	if err := Distinct([]byte(`[{"a":[{"b":{"c":1}},{"b":{"c":1,"c":1}}]}]`)); err == nil {
		t.Error("deep within, a key occurs twice")
	}
	if err := Distinct([]byte(`[{"a":[{"b":{"c":1}},{"b":{"c":1,"C":1}}]}]`)); err != nil {
		t.Error(err)
	}
}

func TestStrict(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"type":"a"}`:            "",
		`{"tYpe":"a"}`:            `unknown field`,
		`{"xx":"a"}`:              `json: unknown field "xx"`,
		`{"in":{"Type":"a"}}`:     `unknown field`,
		`{"type":"a","type":"a"}`: `the key "type" occurs twice`,
		`{} {}`:                   "more than one JSON value",
		`{} x`:                    "more than one JSON value",
		`{"raw":{"a":1,"a":2}}`:   "",
	} {
		err := Strict([]byte(body), new(sample))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", body, err)
		}
	}
	if err := Strict(nil, new(sample)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// FuzzUnmarshal holds the walk against a reader that takes a body apart with the tokens of encoding/json, leaves out what
// is not exactly a known key, and lets encoding/json read the rest.
// TestAnErrorFitsIntoALine, whatever the type that reads itself repeats.
func TestAnErrorFitsIntoALine(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"\x7f", "\u0085x", strings.Repeat("long\x7f", 200)} {
		var s sample
		err := Unmarshal([]byte(`{"at":"`+at+`"}`), &s)
		if err == nil || len(err.Error()) > mostError+len("…") || strings.ContainsFunc(err.Error(), unicode.IsControl) || !utf8.ValidString(err.Error()) {
			t.Errorf("%q: %q", at, err)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, body := range []string{
		`{"type":"a","ks":1,"Plain":"p","at":"2026-01-02T03:04:05Z","in":{"type":"b"},"to":{"next":{"type":"c"}},"many":[{"type":"d"}],"named":{"x":{"type":"e"}},"words":{"a":"b"},"raw":{"type":1,"type":2},"any":[{"type":1}],"deep":2}`,
		`{"tYpe":"a"}`, `{"many":[{"Type":"a"}],"Words":{"a":1}}`, `{"t\u0059pe":"a","\"":1,"\\":2}`, "{\"\u212as\":1}", `{"words":{"a":"1","a":"2"}}`, `{"a":1,"a":2}`,
		`{"type":["}"],"in":[{"type":"x"}],"to":"\\\"","many":{"type":1}}`, `{"a":1,}`, `{"a" 1}`, `{"a":1 "b":2}`, `[{"type":"a"}]`, `{"type":"a"}{}`, `{`, `"`, `{"`, `{"a\`, `{"a":[}`, "{\"\xff\":1,\"\xfe\":1}",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		was := bytes.Clone(body)
		var got, want sample
		err := Unmarshal(body, &got)
		if !bytes.Equal(body, was) {
			t.Fatal("the body was changed")
		}
		if err != nil && (len(err.Error()) > 400 || !utf8.ValidString(err.Error()) || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f })) {
			t.Fatalf("%q", err.Error())
		}
		rest, reference := prune(body, ofSample)
		if reference == nil {
			reference = json.Unmarshal(rest, &want)
		}
		if (err == nil) != (reference == nil) {
			t.Fatalf("%s\n%v\n%v", body, err, reference)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(sample{}), cmp.AllowUnexported(embedded{})); err == nil && diff != "" {
			t.Fatalf("%s\n%s", body, diff)
		}
		if strict := Strict(body, new(sample)); strict == nil && err != nil {
			t.Fatalf("%s: %v", body, err)
		}
	})
}

// known is what a type knows, written down by hand: keys with what is in them; "*" for any key or element.
type known map[string]known

var ofSample, ofInner = known{}, known{}

func init() {
	ofInner["type"], ofInner["next"] = nil, ofSample
	for _, key := range []string{"type", "ks", "Plain", "at", "raw", "any", "deep"} {
		ofSample[key] = nil
	}
	ofSample["in"], ofSample["to"], ofSample["words"] = ofInner, ofInner, known{"*": nil}
	ofSample["many"], ofSample["named"] = known{"[]": ofInner}, known{"*": ofInner}
}

// prune leaves out all keys that are not exactly known; an error is a key that occurs twice, or what is no JSON.
func prune(body []byte, k known) ([]byte, error) {
	if !json.Valid(body) {
		return nil, errors.New("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	first, err := d.Token()
	elem, isList := k["[]"]
	switch {
	case err != nil || k == nil:
		return body, err
	case first == json.Delim('[') && isList:
		out := []byte("[")
		for d.More() {
			out = append(out, ","[:min(1, len(out)-1)]...)
			if out, err = pruneNext(d, out, elem); err != nil {
				return nil, err
			}
		}
		return append(out, ']'), nil
	case first == json.Delim('{') && !isList:
		return pruneObject(d, k)
	}
	return body, nil
}

func pruneObject(d *json.Decoder, k known) ([]byte, error) {
	out, seen := []byte("{"), map[string]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		if seen[name] {
			return nil, errors.New("twice")
		}
		seen[name] = true
		elem, is := k[name]
		any, table := k["*"]
		if table {
			elem = any
		}
		if !is && !table {
			var left json.RawMessage
			if err := d.Decode(&left); err != nil {
				return nil, err
			}
			continue
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, ","[:min(1, len(out)-1)]...), quoted...), ':')
		if out, err = pruneNext(d, out, elem); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

func pruneNext(d *json.Decoder, out []byte, k known) ([]byte, error) {
	var value json.RawMessage
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	value, err := prune(value, k)
	return append(out, value...), err
}
