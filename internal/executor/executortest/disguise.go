package executortest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

// Disguises are ways in which programs write down what they were given, by name. Those in base64, which depend on what
// is before the secret, are [Base64].
func Disguises() map[string]func(secret string) string {
	return map[string]func(string) string{
		"as it is":       func(s string) string { return s },
		"JSON":           quoted,
		"JSON twice":     func(s string) string { return quoted(quoted(s)) },
		"JSON as PHP":    func(s string) string { return strings.ReplaceAll(quoted(s), "/", `\/`) },
		"JSON in ASCII":  func(s string) string { return units(s, `\u%04x`) },
		"JSON, upper":    func(s string) string { return units(s, `\u%04X`) },
		"ASCII twice":    func(s string) string { return units(s, `\\u%04x`) },
		"path":           url.PathEscape,
		"query":          url.QueryEscape,
		"path, lower":    func(s string) string { return lowerPercents(url.PathEscape(s)) },
		"percent, lower": func(s string) string { return each(s, "%%%02x") },
		"percent, upper": func(s string) string { return each(s, "%%%02X") },
		"percent twice":  func(s string) string { return each(s, "%%25%02x") },
		"hex, lower":     func(s string) string { return hex.EncodeToString([]byte(s)) },
		"hex, upper":     func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
		"hex, colons":    func(s string) string { return strings.TrimSuffix(each(s, "%02X:"), ":") },
		"xxd -p":         func(s string) string { return Wrapped(hex.EncodeToString([]byte(s)), 6) },
		"source code":    func(s string) string { return each(s, `\x%02x`) },
		"HTML":           html.EscapeString,
		"HTML in JSON":   func(s string) string { return quoted(html.EscapeString(s)) },
		"JSON in HTML":   func(s string) string { return html.EscapeString(quoted(s)) },
		"JSON in a URL":  func(s string) string { return url.QueryEscape(quoted(s)) },
		"URL in ASCII":   func(s string) string { return units(each(s, "%%%02x"), `\u%04x`) },
		"HTML, numbers":  func(s string) string { return runes(s, "&#%d;") },
		"HTML, hex":      func(s string) string { return runes(s, "&#x%x;") },
	}
}

// Base64 writes a secret in base64 of one alphabet, with so many bytes before it. Core is the part of it that is the
// secret's alone.
func Base64(enc *base64.Encoding, before int, secret string) (whole, core string) {
	whole = enc.EncodeToString([]byte(strings.Repeat("x", before) + secret + "x"))
	return whole, whole[(8*before+5)/6 : 8*(before+len(secret))/6]
}

// Echo is the JSON that a tool answers which says everything it was given, in every form.
func Echo(secret string) []byte {
	all := map[string]json.RawMessage{}
	for name, write := range Disguises() {
		text := []byte(`"` + write(secret) + `"`)
		if !json.Valid(text) {
			text = []byte(`"` + quoted(write(secret)) + `"`)
		}
		all[name] = text
	}
	for name, enc := range encodings() {
		for before := range 3 {
			whole, _ := Base64(enc, before, secret)
			all[fmt.Sprint("base64 ", name, before)] = json.RawMessage(`"` + whole + `"`)
		}
	}
	var b bytes.Buffer
	for i, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%c\n%q: %s", "{,"[min(i, 1)], name, all[name])
	}
	return append(b.Bytes(), "\n}\n"...)
}

// Traces are the forms in which a secret is still in data.
func Traces(data []byte, secret string) []string {
	var found []string
	for name, write := range Disguises() {
		if bytes.Contains(data, []byte(write(secret))) {
			found = append(found, name)
		}
	}
	for name, enc := range encodings() {
		for before := range 3 {
			if _, core := Base64(enc, before, secret); bytes.Contains(data, []byte(core)) {
				found = append(found, fmt.Sprint("base64 ", name, before))
			}
		}
	}
	return found
}

func encodings() map[string]*base64.Encoding {
	return map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.URLEncoding, "raw std": base64.RawStdEncoding, "raw url": base64.RawURLEncoding}
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("executortest: a string cannot fail to encode: " + err.Error())
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(b), `"`), `"`)
}

func units(s, as string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, as, u)
	}
	return b.String()
}

func each(s, as string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, as, c)
	}
	return b.String()
}

func runes(s, as string) string {
	var b strings.Builder
	for _, r := range s {
		fmt.Fprintf(&b, as, r)
	}
	return b.String()
}

func lowerPercents(s string) string {
	parts := strings.Split(s, "%")
	for i, part := range parts[1:] {
		parts[i+1] = strings.ToLower(part[:2]) + part[2:]
	}
	return strings.Join(parts, "%")
}

// Wrapped breaks text into lines of n characters.
func Wrapped(s string, n int) string {
	var b strings.Builder
	for len(s) > n {
		b.WriteString(s[:n] + "\n")
		s = s[n:]
	}
	return b.String() + s
}
