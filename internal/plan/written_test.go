package plan

import (
	"maps"
	"strings"
	"testing"
)

const writtenTools = `tools:
  ship:
    effects: none
    input_schema:
      type: object
      properties:
        street: {type: string}
        "zip <&>": {type: string, enum: ["b", "a"]}
        city: {type: string, anyOf: [{minLength: 1, description: x}]}
      required: [city]
    rungs: [{static: {output: 1}}]
`

// TestSchemasKeepTheirOrder as the document writes it, which forms ask in; what approvals are bound to is the same in
// whatever order a schema is written.
func TestSchemasKeepTheirOrder(t *testing.T) {
	t.Parallel()
	tools, err := ParseTools("tools.yaml", []byte(writtenTools))
	if err != nil {
		t.Fatal(err)
	}
	got := string(tools.Tools["ship"].InputSchema)
	want := `{"type":"object","properties":{"street":{"type":"string"},"zip \u003c\u0026\u003e":{"type":"string","enum":["b","a"]},"city":{"type":"string","anyOf":[{"minLength":1,"description":"x"}]}},"required":["city"]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	sorted := strings.NewReplacer("{type: object, properties: {b: {}, a: {}}}", "{properties: {a: {}, b: {}}, type: object}")
	const pay = "tools:\n  pay: {effects: unsafe, approval: always, input_schema: {type: object, properties: {b: {}, a: {}}}, rungs: [{static: {output: 1}}]}\n"
	one, errOne := ParseTools("tools.yaml", []byte(pay))
	two, errTwo := ParseTools("tools.yaml", []byte(sorted.Replace(pay)))
	if errOne != nil || errTwo != nil {
		t.Fatal(errOne, errTwo)
	}
	if a, b := one.Tools["pay"].Definition, two.Tools["pay"].Definition; len(a) == 0 || !maps.Equal(a, b) {
		t.Errorf("%v is not %v", a, b)
	}
}
