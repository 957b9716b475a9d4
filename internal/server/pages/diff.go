package pages

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// change is one difference between two JSON values, at the innermost place where they differ.
type change struct {
	Path   string // "amount", "items.1.sku"
	Before string // JSON as written; empty = absent
	After  string // empty = it is removed
}

// differences lists what is different between two JSON values. Numbers are compared as they are written: 1 and 1.0 are
// different, because a tool may tell them apart.
func differences(before, after json.RawMessage) []change {
	return differ("", before, after, deepestDifference)
}

// deepestDifference is how many levels down differences are shown; deeper values are compared as a whole.
const deepestDifference = 20

func differ(path string, before, after json.RawMessage, levels int) []change {
	if bytes.Equal(squeeze(before), squeeze(after)) {
		return nil
	}
	was, wasObject := children(before)
	is, isObject := children(after)
	if levels > 0 && wasObject == isObject && was != nil && is != nil {
		return differMembers(path, was, is, levels-1)
	}
	return []change{{path, string(before), string(after)}}
}

func differMembers(path string, was, is []member, levels int) []change {
	var list []change
	before, after := byName(was), byName(is)
	for _, m := range was {
		list = append(list, differ(below(path, m.Name), m.Value, after[m.Name], levels)...)
	}
	for _, m := range is {
		if before[m.Name] == nil {
			list = append(list, change{Path: below(path, m.Name), After: string(m.Value)})
		}
	}
	return list
}

// byName finds values by their names; of those with the same name the last one counts, as in Go.
func byName(list []member) map[string]json.RawMessage {
	values := make(map[string]json.RawMessage, len(list))
	for _, m := range list {
		values[m.Name] = m.Value
	}
	return values
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
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

// shownChanges are the changes that a page has room for, each with as much of its values.
func shownChanges(list []change) []change {
	in := newRoom()
	list = firstOf(list)
	for i := range list {
		list[i] = change{in.said(list[i].Path), in.said(list[i].Before), in.said(list[i].After)}
	}
	return list
}
