package pages

import (
	"bytes"
	"encoding/json"
	"errors"
)

// member is one member of a JSON object, its value as written.
type member struct {
	Name  string
	Value json.RawMessage
}

var errNoObject = errors.New("not a JSON object")

// members reads the top level of a JSON object, in order. A name that occurs twice is returned twice: programs do not agree
// on which one counts, so people should see both. The values are slices of raw.
func members(raw json.RawMessage) ([]member, error) {
	list, _, err := firstMembers(raw, len(raw))
	return list, err
}

// firstMembers reads at most so many members, and returns how many bytes of the object follow.
func firstMembers(raw json.RawMessage, most int) (list []member, rest int, err error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' || !sound(raw) {
		return nil, 0, errNoObject
	}
	i := skipSpace(raw, 1)
	for raw[i] != '}' {
		if len(list) == most {
			return list, len(raw) - i, nil
		}
		var m member
		if m, i, err = memberAt(raw, i); err != nil {
			return nil, 0, err
		}
		list = append(list, m)
	}
	return list, 0, nil
}

// memberAt reads the member at i, and returns the index of the next one or of the object's end.
func memberAt(raw json.RawMessage, i int) (m member, next int, err error) {
	end := endOfValue(raw, i)
	if err = json.Unmarshal(raw[i:end], &m.Name); err != nil {
		return m, end, err
	}
	i = skipSpace(raw, skipSpace(raw, end)+len(":"))
	end = endOfValue(raw, i)
	m.Value = raw[i:end:end]
	next = skipSpace(raw, end)
	if raw[next] == ',' {
		next = skipSpace(raw, next+1)
	}
	return m, next, nil
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r') {
		i++
	}
	return i
}

// endOfValue returns where the value at i ends; raw must be valid JSON.
func endOfValue(raw []byte, i int) int {
	depth := 0
	for ; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			if i = endOfString(raw, i); depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of a number, true, false or null
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ':', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// endOfString is the index of the quote that ends the string that begins at i.
func endOfString(raw []byte, i int) int {
	for i++; i < len(raw) && raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i
}

// object writes members as one JSON object.
func object(list []member) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(m.Name))
		b.WriteByte(':')
		b.Write(m.Value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// unique returns the members of an object; of those with the same name only the last one, as encoding/json does.
func unique(object json.RawMessage) []member {
	all, _ := members(object)
	at := make(map[string]int, len(all))
	var list []member
	for _, m := range all {
		i, twice := at[m.Name]
		if !twice {
			i = len(list)
			at[m.Name], list = i, append(list, m)
		}
		list[i].Value = m.Value
	}
	return list
}

// find returns the value of the last member of this name, as encoding/json does; nil if there is none.
func find(list []member, name string) json.RawMessage {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Name == name {
			return list[i].Value
		}
	}
	return nil
}
