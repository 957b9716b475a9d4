package exactjson

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

type kind uint8

const (
	opaque    kind = iota // data, or a type that reads itself, or nothing that has keys
	structure             // an object with known keys
	table                 // an object with any keys
	list
)

// shape is what of a type says where which keys may be.
type shape struct {
	kind   kind
	elem   *shape   // of a table, a list
	names  []string // of a structure
	fields []*shape
	first  [4]uint64 // what bytes a key begins with that may look like one of the names
}

var (
	raw      = &shape{}
	whatever = &shape{kind: table} // any value, with all that is in it
	shapes   sync.Map              // by reflect.Type
	building sync.Mutex
)

func init() { whatever.elem = whatever }

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	building.Lock()
	defer building.Unlock()
	made := map[reflect.Type]*shape{} // a type may be in itself
	s := build(t, made)
	for t, s := range made { // all are whole now
		shapes.Store(t, s)
	}
	shapes.Store(t, s)
	return s
}

var (
	readsItself = reflect.TypeFor[json.Unmarshaler]()
	readsText   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func build(t reflect.Type, made map[reflect.Type]*shape) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s, ok := made[t]; ok {
		return s
	}
	if p := reflect.PointerTo(t); p.Implements(readsItself) || p.Implements(readsText) {
		return raw
	}
	s := &shape{}
	switch t.Kind() {
	case reflect.Struct:
		made[t], s.kind = s, structure
		for _, f := range fieldsOf(t) {
			s.names, s.fields = append(s.names, f.name), append(s.fields, build(f.of, made))
			s.begins(f.name)
		}
	case reflect.Map:
		made[t], s.kind = s, table
		s.elem = build(t.Elem(), made)
	case reflect.Slice, reflect.Array:
		made[t], s.kind = s, list
		s.elem = build(t.Elem(), made)
	}
	return s
}

// field is one that encoding/json reads.
type field struct {
	name   string
	of     reflect.Type
	depth  int
	tagged bool
}

// fieldsOf are the fields of a struct and of what is embedded in it, by the rules of encoding/json: of those with one
// name the least deep one counts, then the one with a tag; where that leaves two, none does.
func fieldsOf(t reflect.Type) []field {
	var all []field
	collect(t, 0, map[reflect.Type]bool{}, &all)
	var list []field
	for i, f := range all {
		beaten := false
		for j, g := range all {
			beaten = beaten || i != j && g.name == f.name && (g.depth < f.depth || g.depth == f.depth && (g.tagged || !f.tagged))
		}
		if !beaten {
			list = append(list, f)
		}
	}
	return list
}

func collect(t reflect.Type, depth int, within map[reflect.Type]bool, all *[]field) {
	if within[t] {
		return
	}
	within[t] = true
	defer delete(within, t)
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		of := f.Type
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		switch {
		case tag == "-" || !f.IsExported() && (!f.Anonymous || of.Kind() != reflect.Struct):
		case f.Anonymous && name == "" && of.Kind() == reflect.Struct:
			collect(of, depth+1, within, all)
		case f.IsExported():
			at := field{name, f.Type, depth, name != ""}
			if name == "" {
				at.name = f.Name
			}
			*all = append(*all, at)
		}
	}
}

// begins notes with which bytes a key may begin that looks like a name.
func (s *shape) begins(name string) {
	r, _ := utf8.DecodeRuneInString(name)
	for c := r; ; {
		b := string(c)[0]
		s.first[b/64] |= 1 << (b % 64)
		if c = unicode.SimpleFold(c); c == r {
			return
		}
	}
}

// folds reports whether encoding/json would take an unknown key for one of the known ones.
func (s *shape) folds(name []byte) bool {
	if len(name) == 0 || s.first[name[0]/64]&(1<<(name[0]%64)) == 0 {
		return false
	}
	for _, known := range s.names {
		if strings.EqualFold(known, string(name)) {
			return true
		}
	}
	return false
}
