package console

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

// members reads the top level of a JSON object in the order in which it is written. A name that comes twice is there
// twice: programs do not agree on which one counts, so people should see both. The values are parts of raw.
func members(raw json.RawMessage) ([]member, error) {
	list, _, err := firstMembers(raw, len(raw))
	return list, err
}

// firstMembers reads at most so many members, and says how many bytes of the object come after them.
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

// memberAt reads the member that begins at i, and gives where the next one begins, or the object ends.
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

// endOfValue is where the value ends that begins at i of sound JSON.
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
				return i // of the number or the word before it
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

// unique gives the members of an object, of those with the same name the last one, which is the one that counts in Go.
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

// find is the value of the last member of this name, the one that counts in Go; nil when there is none.
func find(list []member, name string) json.RawMessage {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Name == name {
			return list[i].Value
		}
	}
	return nil
}
