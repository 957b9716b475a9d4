package handoff

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestApplySet(t *testing.T) {
	t.Parallel()
	schema := `{"type":"object","properties":{
		"order":{"type":"string"},"amount":{"type":"number"},"count":{"type":"integer"},"ok":{"type":"boolean"},
		"note":{"type":["string","null"]},"items":{"type":"array","items":{"properties":{"sku":{"type":"string"}}}},
		"to":{"properties":{"zip":{"type":"string"}}}},"additionalProperties":{"type":"integer"}}`
	for name, c := range map[string]struct {
		params, schema string
		sets           []string
		want           string
	}{
		"text by schema":            {`{"order":"A"}`, schema, []string{"order=1009"}, `{"order":"1009"}`},
		"number by schema":          {`{}`, schema, []string{"amount=12.50"}, `{"amount":12.50}`},
		"number stays as written":   {`{"amount":1}`, schema, []string{"amount=12345678901234567890"}, `{"amount":12345678901234567890}`},
		"others stay as written":    {`{"a":1.10,"n":12345678901234567890}`, `{}`, []string{"b=1"}, `{"a":1.10,"b":1,"n":12345678901234567890}`},
		"boolean":                   {`{}`, schema, []string{"ok=true"}, `{"ok":true}`},
		"null where allowed":        {`{}`, schema, []string{"note=null"}, `{"note":null}`},
		"text where both":           {`{}`, schema, []string{"note=7"}, `{"note":"7"}`},
		"nested":                    {`{"to":{"city":"x"}}`, schema, []string{"to.zip=01234"}, `{"to":{"city":"x","zip":"01234"}}`},
		"nested where nothing is":   {`{}`, schema, []string{"to.zip=1"}, `{"to":{"zip":"1"}}`},
		"list item":                 {`{"items":[{"sku":"a"},{"sku":"b"}]}`, schema, []string{"items.1.sku=9"}, `{"items":[{"sku":"a"},{"sku":"9"}]}`},
		"list append":               {`{"items":[]}`, schema, []string{"items.0.sku=9"}, `{"items":[{"sku":"9"}]}`},
		"other properties":          {`{}`, schema, []string{"extra=3"}, `{"extra":3}`},
		"no schema, JSON":           {`{}`, ``, []string{`v={"a":[1]}`}, `{"v":{"a":[1]}}`},
		"no schema, text":           {`{}`, ``, []string{`v=hello <b>`}, `{"v":"hello <b>"}`},
		"no schema, was text":       {`{"v":"x"}`, ``, []string{`v=12`}, `{"v":"12"}`},
		"equals sign in the value":  {`{}`, ``, []string{`v=a=b`}, `{"v":"a=b"}`},
		"empty value":               {`{}`, schema, []string{`order=`}, `{"order":""}`},
		"several":                   {`{}`, schema, []string{`order=A`, `amount=1`}, `{"amount":1,"order":"A"}`},
		"brackets in a text":        {`{"v":"x"}`, ``, []string{`v=` + strings.Repeat("[", 300)}, `{"v":"` + strings.Repeat("[", 300) + `"}`},
		"parameters that are empty": {``, schema, []string{`order=A`}, `{"order":"A"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ApplySet(json.RawMessage(c.params), json.RawMessage(c.schema), c.sets...)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestApplySetRefuses(t *testing.T) {
	t.Parallel()
	schema := `{"properties":{"amount":{"type":"number"},"count":{"type":"integer"},"ok":{"type":"boolean"}}}`
	for name, c := range map[string]struct{ params, set string }{
		"no path":               {`{}`, `=1`},
		"no value":              {`{}`, `amount`},
		"text as number":        {`{}`, `amount=many`},
		"quoted number":         {`{}`, `amount="1"`},
		"fraction as integer":   {`{}`, `count=1.5`},
		"number as boolean":     {`{}`, `ok=1`},
		"below a text":          {`{"order":"A"}`, `order.id=1`},
		"not a list index":      {`{"l":[1]}`, `l.x=1`},
		"beyond the list":       {`{"l":[1]}`, `l.2=1`},
		"before the list":       {`{"l":[1]}`, `l.-1=1`},
		"parameters are a list": {`[1]`, `x=1`},
		"nested too deep":       {`{}`, `x=` + strings.Repeat("[", 200) + strings.Repeat("]", 200)},
		"no JSON any more":      {`{}`, `x=` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)},
		"a path too deep":       {`{}`, strings.Repeat("a.", 200) + `a=1`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ApplySet(json.RawMessage(c.params), json.RawMessage(schema), c.set)
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("got %s, %v; want ErrInvalid", got, err)
			}
		})
	}
}
