package pages

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"belay/internal/plan"
)

// field is one input of a form, with the type that a JSON schema gives it.
type field struct {
	Name     string
	Label    string // in place of the name
	Hint     string // what is enough to type; our own words
	Kind     fieldKind
	Text     string   // what is typed
	Options  []string // of a choice
	Help     string   // the schema's description; outside text
	Required bool
	Error    string

	was   json.RawMessage // nil = absent
	place int             // among the members that were there; new ones come after them
}

type fieldKind string

const (
	fieldText   fieldKind = "text"
	fieldLines  fieldKind = "lines"
	fieldNumber fieldKind = "number"
	fieldBool   fieldKind = "bool"
	fieldChoice fieldKind = "choice"
	fieldJSON   fieldKind = "json"
)

// fieldPrefix distinguishes the values of fields from the other inputs of a form.
const fieldPrefix = "f."

// maxFields is how many fields a form has at most.
const maxFields = maxRows

// fieldsOf makes a field for each property of a schema and each further member of an object, in the order of the schema,
// the required ones first.
func fieldsOf(object, rawSchema json.RawMessage) []field {
	if few, rest, _ := firstMembers(object, maxFields); len(few) > 0 && rest > 0 {
		return nil // too many to fill in: the form shows the whole as JSON
	}
	s := readSchema(rawSchema)
	var needed, others []field
	have := unique(object)
	add := func(name string) {
		f := newField(name, find(have, name), s)
		if f.place = slices.IndexFunc(have, func(m member) bool { return m.Name == name }); f.place < 0 {
			f.place = len(have)
		}
		if f.Required {
			needed = append(needed, f)
			return
		}
		others = append(others, f)
	}
	names := propertyNames(rawSchema)
	for _, name := range names {
		add(name)
	}
	for _, name := range s.Required { // also those without a description
		if !slices.Contains(names, name) {
			names = append(names, name)
			add(name)
		}
	}
	for _, m := range have {
		if !slices.Contains(names, m.Name) {
			add(m.Name)
		}
	}
	return append(needed, others...)
}

func newField(name string, was json.RawMessage, parent schema) field {
	s := parent.Properties[name]
	f := field{Name: name, Help: s.Description, Required: slices.Contains(parent.Required, name), was: was}
	f.Kind, f.Options = kindOf(s, was)
	f.Text = f.write()
	if f.Kind == fieldText && strings.Contains(f.Text, "\n") {
		f.Kind = fieldLines
	}
	return f
}

// write is the text of the value that was there.
func (f *field) write() string {
	if f.was == nil {
		return ""
	}
	if f.Kind == fieldJSON {
		return editable(f.was)
	}
	var s string
	if json.Unmarshal(f.was, &s) == nil && strings.HasPrefix(string(f.was), `"`) {
		return s
	}
	return string(f.was)
}

// read takes the typed text from a form, and returns the value as JSON; nil if it is left out.
func (f *field) read(form url.Values) json.RawMessage {
	typed, sent := form[fieldPrefix+f.Name]
	if !sent {
		return f.was
	}
	before := f.Text
	f.Text = strings.ReplaceAll(typed[0], "\r\n", "\n") // browsers send line ends like this
	if f.was != nil && f.Text == before {
		return f.was // unchanged, down to how it is written
	}
	if f.Text == "" && f.was == nil {
		return f.missing()
	}
	return f.parse()
}

func (f *field) missing() json.RawMessage {
	if f.Required {
		f.Error = "This is required."
	}
	return nil
}

func (f *field) parse() json.RawMessage {
	text := strings.TrimSpace(f.Text)
	switch f.Kind {
	case fieldText, fieldLines, fieldChoice:
		return quote(f.Text)
	case fieldNumber:
		if !isNumber(text) {
			f.Error = "This is not a number. Use a decimal point, like 99.50."
		}
	case fieldBool:
		if text != "true" && text != "false" {
			f.Error = "Choose true or false."
		}
	default:
		if !json.Valid([]byte(text)) {
			f.Error = "This is not JSON. Text needs quotes: \"like this\"."
		}
	}
	return json.RawMessage(text)
}

// readFields reads all fields into one object; ok is false if a field has an error.
func readFields(list []field, form url.Values) (raw json.RawMessage, ok bool) {
	var out []member
	ok = true
	for _, i := range inPlace(list) {
		if v := list[i].read(form); v != nil {
			out = append(out, member{list[i].Name, v})
		}
		ok = ok && list[i].Error == ""
	}
	return object(out), ok
}

// inPlace returns the indexes of the fields in the order in which their members were written.
func inPlace(list []field) []int {
	order := make([]int, len(list))
	for i := range list {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return list[a].place - list[b].place })
	return order
}

// check validates a value against its schema and puts each error beside its field. It returns the errors that belong to
// no field, one line each.
func check(list []field, value, rawSchema json.RawMessage) (rest []string) {
	test, err := plan.CompileSchema(rawSchema)
	if err != nil || test == nil {
		return nil // the desk reports it
	}
	if err = test(value); err == nil {
		return nil
	}
	return place(list, err.Error())
}

// place puts each line of an error beside the field that it names, and returns the others.
func place(list []field, complaint string) (rest []string) {
	for line := range strings.Lines(complaint) {
		line = strings.TrimSpace(line)
		i := slices.IndexFunc(list, func(f field) bool {
			return strings.HasPrefix(line, f.Name+": ") || strings.HasPrefix(line, f.Name+".")
		})
		if i < 0 {
			rest = append(rest, line)
			continue
		}
		list[i].Error = strings.TrimPrefix(line, list[i].Name+": ")
	}
	return rest
}

// isObject reports whether raw is a JSON object and nothing after it.
func isObject(raw json.RawMessage) bool {
	_, _, err := firstMembers(raw, 0)
	return err == nil
}

// numberedField is a field with its place in the form, for the ids that tie labels and errors to it.
type numberedField struct {
	field
	Index int
}

func numbered(i int, f field) numberedField { return numberedField{f, i} }

// Words say what the field expects.
func (f field) Words() string {
	words := map[fieldKind]string{fieldNumber: "a number", fieldJSON: "JSON"}[f.Kind]
	if f.Required && f.was == nil {
		words = strings.TrimPrefix(words+", required", ", ")
	}
	return words
}

// Lines is the height of the field for a longer text.
func (f field) Lines() int { return min(max(strings.Count(f.Text, "\n")+1, 2), 12) }

// All returns the options of a choice, with the present value, and with an empty one if the field is optional.
func (f field) All() []string {
	options := f.Options
	if f.was == nil {
		options = append([]string{""}, options...)
	}
	if !slices.Contains(options, f.Text) {
		options = append(slices.Clone(options), f.Text)
	}
	return options
}
