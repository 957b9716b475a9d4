package console

import (
	"encoding/json"
	"strconv"
)

// change is one difference between two JSON values, at the innermost place where they differ.
type change struct {
	Path   string // "amount", "items.1.sku"
	Before string // JSON as written; empty = was not there
	After  string // empty = is gone
}

// differences lists what is different between two JSON values. Numbers are compared as they are written: 1 and 1.0
// are different, since nobody knows what a tool makes of them.
func differences(before, after json.RawMessage) []change {
	return differ("", before, after)
}

func differ(path string, before, after json.RawMessage) []change {
	was, wasObject := children(before)
	is, isObject := children(after)
	if wasObject == isObject && was != nil && is != nil {
		return differMembers(path, was, is)
	}
	if compact(before) == compact(after) {
		return nil
	}
	return []change{{path, string(before), string(after)}}
}

func differMembers(path string, was, is []member) []change {
	var list []change
	for _, m := range was {
		list = append(list, differ(below(path, m.Name), m.Value, find(is, m.Name))...)
	}
	for _, m := range is {
		if find(was, m.Name) == nil {
			list = append(list, change{Path: below(path, m.Name), After: string(m.Value)})
		}
	}
	return list
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
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

// children are the members of an object, or the items of a list under their numbers; nil for anything else.
func children(raw json.RawMessage) (list []member, isObject bool) {
	if list, err := members(raw); err == nil {
		return append([]member{}, list...), true
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil || items == nil {
		return nil, false
	}
	list = []member{}
	for i, v := range items {
		list = append(list, member{strconv.Itoa(i), v})
	}
	return list, false
}

// compact is a JSON value without the space between its tokens.
func compact(raw json.RawMessage) string {
	return string(squeeze(raw))
}
