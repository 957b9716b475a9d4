package pages

import (
	"cmp"
	"encoding/json"
	"html"
	"io"
	"regexp"
	"strings"
)

const (
	clueRead = 16 << 10 // bytes of an answer that are searched
	clueSize = 240      // characters of a clue
	clueDeep = 6        // levels of JSON that are searched
)

// clue finds what the other side itself says is wrong, in one line: the sentence in an answer that a person would look
// for. It is empty if there is none, or if message contains it already. It is:
//
//   - in JSON, also such as problem+json or JSON that was cut off: the first of message, msg, error_description, detail,
//     details, description, reason, error and title that holds a text, or an object that has one; and the first of what
//     errors, violations, issues, invalid-params and details list, with the field that it names
//   - in HTML or XML: Message, faultstring, title or h1
//   - in anything else, such as what a command wrote: the last line that is not a stack frame; if that is JSON, as above
//
// The result is outside text, as the answer is.
func clue(message, answer string) string {
	answer = strings.TrimSpace(answer[:min(len(answer), clueRead)])
	found := clueIn(answer)
	if _, said, ok := strings.Cut(answer, "\nstderr: "); ok { // the last words of a command whose output is there too
		found = cmp.Or(lastLine(said), found)
	}
	found = cut(strings.Join(strings.Fields(found), " "), clueSize)
	if strings.Contains(message, found) {
		return ""
	}
	return found
}

func clueIn(answer string) string {
	switch {
	case answer == "":
		return ""
	case answer[0] == '{' || answer[0] == '[':
		return clueInValue(partial(json.NewDecoder(strings.NewReader(answer))), clueDeep)
	case answer[0] == '<':
		return inMarkup(answer)
	}
	return lastLine(answer)
}

var (
	sayings     = []string{"message", "msg", "error_description", "errorMessage", "detail", "details", "description", "reason", "error", "fault", "title", "code"}
	lists       = []string{"errors", "violations", "issues", "invalid-params", "invalid_params", "details", "detail", "error"}
	whereabouts = []string{"field", "path", "param", "parameter", "loc", "pointer", "property", "name"}
)

// clueInValue is the clue in a JSON value.
func clueInValue(v any, levels int) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		if len(v) > 0 && levels > 0 {
			return clueInValue(v[0], levels-1)
		}
	case map[string]any:
		if levels > 0 {
			return clueInObject(v, levels-1)
		}
	}
	return ""
}

func clueInObject(o map[string]any, levels int) string {
	said := ""
	for _, name := range sayings {
		if _, isList := o[name].([]any); !isList && said == "" {
			said = clueInValue(o[name], levels)
		}
	}
	exact := listed(o, levels)
	switch {
	case exact != "" && said != "" && !strings.Contains(said, exact):
		return strings.TrimRight(said, ".: ") + ": " + exact
	case exact != "":
		return cmp.Or(said, exact)
	}
	if where := placeOf(o); said != "" && where != "" && !strings.Contains(said, where[strings.LastIndexAny(where, "./")+1:]) {
		return where + ": " + said
	}
	return said
}

// listed is the first of the faults that an object lists, with its field if they are listed by field.
func listed(o map[string]any, levels int) string {
	for _, name := range lists {
		switch list := o[name].(type) {
		case []any:
			if clue := clueInValue(list, levels); clue != "" {
				return clue
			}
		case map[string]any:
			if clue := byField(name, list, levels); clue != "" {
				return clue
			}
		}
	}
	return ""
}

// byField reads {"zip": ["must have five digits"]}. Only below a member called errors are names those of fields.
func byField(name string, o map[string]any, levels int) string {
	if name != "errors" && name != "violations" {
		return ""
	}
	at, clue := "", ""
	for field, v := range o {
		if c := clueInValue(v, levels); c != "" && (at == "" || field < at) {
			at, clue = field, c
		}
	}
	if at == "" || strings.Contains(clue, at) {
		return clue
	}
	return at + ": " + clue
}

// placeOf is the field that a fault is about.
func placeOf(o map[string]any) string {
	if source, ok := o["source"].(map[string]any); ok {
		return placeOf(source)
	}
	for _, name := range whereabouts {
		switch at := o[name].(type) {
		case string:
			return at
		case []any:
			var parts []string
			for _, p := range at {
				if s, ok := p.(string); ok {
					parts = append(parts, s)
				}
			}
			return strings.Join(parts, ".")
		}
	}
	return ""
}

// partial reads JSON as far as it goes: stored answers are cut off.
func partial(d *json.Decoder) any {
	v, _ := readPart(d, clueDeep+2)
	return v
}

var errDeep = io.ErrUnexpectedEOF // deeper JSON is read as if it ended there

func readPart(d *json.Decoder, levels int) (any, error) {
	t, err := d.Token()
	if err != nil || levels == 0 {
		return nil, cmp.Or(err, errDeep)
	}
	switch t {
	case json.Delim('{'):
		return readObject(d, levels-1)
	case json.Delim('['):
		return readList(d, levels-1)
	}
	if s, ok := t.(string); ok {
		return s, nil
	}
	return nil, nil // numbers and booleans are not sentences
}

func readObject(d *json.Decoder, levels int) (any, error) {
	o := map[string]any{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return o, err
		}
		v, err := readPart(d, levels)
		if v != nil {
			o[name.(string)] = v
		}
		if err != nil {
			return o, err
		}
	}
	_, err := d.Token()
	return o, err
}

func readList(d *json.Decoder, levels int) (any, error) {
	list := []any{}
	for d.More() {
		v, err := readPart(d, levels)
		if v != nil {
			list = append(list, v)
		}
		if err != nil {
			return list, err
		}
	}
	_, err := d.Token()
	return list, err
}

var elements = regexp.MustCompile(`(?is)<(message|faultstring|title|h1)(?:\s[^>]*)?>(.*?)</`)

// inMarkup is the text of the first element that says what is wrong.
func inMarkup(answer string) string {
	if m := elements.FindStringSubmatch(answer); m != nil {
		return html.UnescapeString(strings.TrimSpace(m[2]))
	}
	return ""
}

// lastLine is the last line that says something, not a stack frame and not only punctuation.
func lastLine(text string) string {
	lines := strings.Split(text, "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.TrimRight(lines[i], " \t\r")
		if isFrame(line) {
			continue
		}
		if strings.HasPrefix(line, "{") {
			return cmp.Or(clueInValue(partial(json.NewDecoder(strings.NewReader(line))), clueDeep), line)
		}
		return line
	}
	return ""
}

// isFrame reports whether a line is part of a stack trace, or has only punctuation.
func isFrame(line string) bool {
	return strings.TrimFunc(line, func(r rune) bool { return strings.ContainsRune(" \t^~-=*.{}()[];", r) }) == "" ||
		line[0] == ' ' || line[0] == '\t' || strings.HasPrefix(line, "at ") || strings.HasPrefix(line, "Node.js v") || strings.HasPrefix(line, "exit status ") ||
		strings.HasPrefix(line, "goroutine ")
}
