package pages

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sent is the form of these fields as a browser sends it: ends of lines become CRLF.
func sent(list []field) url.Values {
	form := url.Values{}
	for _, f := range list {
		form.Set(fieldPrefix+f.Name, strings.ReplaceAll(f.Text, "\n", "\r\n"))
	}
	return form
}

// A form that nobody touches changes nothing, not even the spelling of a number, whatever the parameters are and
// whatever the schema says about them.
func TestUntouchedFieldsChangeNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-c\n]{1,5}`), rapid.StringOfN(rapid.SampledFrom([]rune("a\r\n\x00\u202e\"\\<é")), 0, 8, -1))
		value := rapid.Custom(func(t *rapid.T) json.RawMessage {
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				return quote(text.Draw(t, "text"))
			case 1:
				return json.RawMessage(rapid.SampledFrom([]string{"0", "-1.50", "12345678901234567890", "1e3", "1.0"}).Draw(t, "number"))
			case 2:
				return json.RawMessage(rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "word"))
			case 3:
				return json.RawMessage(`{ "a" : [1.0, "x"] }`)
			}
			return json.RawMessage(`["b",2.50]`)
		})
		var before, properties []member
		for n, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,4}`), 0, 5, rapid.ID).Draw(t, "names") {
			before = append(before, member{name, value.Draw(t, "value")})
			if n%2 == 0 {
				kind := rapid.SampledFrom([]string{"string", "number", "integer", "boolean", "object", "array"}).Draw(t, "type")
				properties = append(properties, member{name, json.RawMessage(`{"type":"` + kind + `"}`)})
			}
		}
		properties = append(properties, member{"further", json.RawMessage(`{"type":"string"}`)})
		list := fieldsOf(object(before), object([]member{{"properties", object(properties)}}))
		after, ok := readFields(list, sent(list))
		if !ok || string(squeeze(after)) != string(squeeze(object(before))) {
			t.Fatalf("%v\nbefore %s\nafter  %s\n%+v", ok, object(before), after, list)
		}
	})
}

func TestFieldsAreTypedByTheirSchema(t *testing.T) {
	t.Parallel()
	schema := json.RawMessage(`{"required":["n"],"properties":{"s":{"type":"string"},"n":{"type":"number"},"i":{"type":"integer"},"b":{"type":"boolean"},"o":{"type":"object"},"c":{"enum":["x","y"]},"m":{"type":["string","null"]}}}`)
	form := url.Values{}
	for name, text := range map[string]string{"s": "12", "n": "1.50", "i": "7", "b": "true", "o": `{"a":1}`, "c": "y", "m": `null`} {
		form.Set(fieldPrefix+name, text)
	}
	got, ok := readFields(fieldsOf(json.RawMessage(`{}`), schema), form)
	if want := `{"n":1.50,"s":"12","i":7,"b":true,"o":{"a":1},"c":"y","m":null}`; !ok || string(got) != want {
		t.Errorf("%v\ngot  %s\nwant %s", ok, got, want)
	}
}

func TestFieldsThatMayStayOut(t *testing.T) {
	t.Parallel()
	schema := json.RawMessage(`{"required":["n"],"properties":{"s":{"type":"string"},"n":{"type":"number"}}}`)
	list := fieldsOf(json.RawMessage(`{"t":"x"}`), schema)
	got, ok := readFields(list, url.Values{"f.t": {""}, "f.s": {""}, "f.n": {""}})
	if ok || string(got) != `{"t":""}` || list[0].Error == "" {
		t.Errorf("%v %s %+v", ok, got, list)
	}
}

func TestANameThatComesTwiceIsOneField(t *testing.T) {
	t.Parallel()
	list := fieldsOf(json.RawMessage(`{"amount":1,"order":"A","amount":1000}`), nil)
	got, ok := readFields(list, sent(list))
	if !ok || string(got) != `{"amount":1000,"order":"A"}` {
		t.Errorf("%v %s", ok, got)
	}
}

// A value that its type cannot hold is edited as JSON, where all of it can be seen.
func TestOddValuesAreEditedAsJSON(t *testing.T) {
	t.Parallel()
	schema := json.RawMessage(`{"properties":{"s":{"type":"string"},"n":{"type":"number"},"c":{"enum":["x"]}}}`)
	list := fieldsOf(json.RawMessage(`{"s":"a\u202eb","n":"12","c":null}`), schema)
	for _, f := range list {
		if f.Kind != fieldJSON {
			t.Errorf("%s is a %s", f.Name, f.Kind)
		}
	}
	if list[0].Text != `"a\u202eb"` {
		t.Errorf("the form shows %q", list[0].Text)
	}
}

// TestFieldsStandInTheOrderOfTheirSchema as it is written, with those that are needed first. What is sent keeps the order
// of the value that was there.
func TestFieldsStandInTheOrderOfTheirSchema(t *testing.T) {
	t.Parallel()
	schema := json.RawMessage(`{"properties":{"street":{"type":"string"},"zip":{"type":"string"},"name":{"type":"string"},"city":{"type":"string"}},"required":["name","zip","code"]}`)
	list := fieldsOf(json.RawMessage(`{"city":"Berlin","age":7,"zip":"1019"}`), schema)
	var names []string
	for _, f := range list {
		names = append(names, f.Name)
	}
	if got, want := strings.Join(names, " "), "zip name code street city age"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	form := sent(list)
	form.Set("f.name", "Ann")
	form.Set("f.code", "1")
	got, _ := readFields(list, form)
	if want := `{"city":"Berlin","age":7,"zip":"1019","name":"Ann","code":1}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
