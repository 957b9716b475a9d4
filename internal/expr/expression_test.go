package expr

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// world is what expressions of these tests read.
type world struct {
	input, item string
	steps       map[string]string // JSON of what steps.<id> shows
	index       int
	reads       []string
}

func (w *world) Input() any {
	w.reads = append(w.reads, "input")
	return steps.Decode(json.RawMessage(w.input))
}

func (w *world) Step(id string) map[string]any {
	w.reads = append(w.reads, "steps."+id)
	m, _ := steps.Decode(json.RawMessage(w.steps[id])).(map[string]any)
	return m
}

func (w *world) Params() any     { return nil }
func (w *world) Output() any     { return nil }
func (w *world) Untrusted() bool { return false }

func (w *world) Item() (any, int, bool) {
	return steps.Decode(json.RawMessage(w.item)), w.index, w.item != ""
}

func (w *world) Run() map[string]any {
	return map[string]any{"id": "run-1", "workflow": "test", "labels": map[string]any{"team": "payments"}}
}

func aWorld() *world {
	return &world{
		input: `{"n":10,"m":9,"big":12345678901234567890,"bigger":12345678901234567891,"price":1.10,"exp":1e3,"zero":0,"s":"a<b>&c",
			"list":[10,9,1.10],"names":["b","a","b"],"rows":[{"id":1,"v":2.50},{"id":2,"v":10}],"obj":{"b":1,"a":[true,null]},"none":null,
			"yes":true,"huge":1e308,"text":"12","path":"a/b c?d&e=ü","dots":"..","quote":"say \"hi\"\n"}`,
		steps: map[string]string{
			"first":   `{"output":{"id":7,"total":0.10},"state":"succeeded","degraded":false,"rejection":null}`,
			"skipped": `{"output":null,"state":"skipped","degraded":false,"rejection":null}`,
			"a-b":     `{"output":1,"state":"succeeded","degraded":true,"rejection":null}`,
		},
		item: `{"k":3.0}`, index: 4,
	}
}

func aView() Readable {
	index := map[string]int{"first": 0, "skipped": 1, "a-b": 2, "later": 3}
	done := func(place int) bool { return place < 3 }
	return Readable{Roots: []string{"input", "steps", "run", "item", "index"}, Absent: map[string]string{"params": "it is for the tools file"}, Steps: index, Done: done}
}

// render compiles one string as a template and evaluates it.
func render(t *testing.T, template string) (string, error) {
	t.Helper()
	compiled, faults := CompileTemplate(template, "x", aView())
	if len(faults) > 0 {
		t.Fatalf("%s does not compile: %v", template, faults)
	}
	raw, err := compiled.over(aWorld())
	return string(raw), err
}

func TestTemplatesGive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ template, want string }{
		// Numbers pass through as they were written.
		{`${ input.big }`, `12345678901234567890`},
		{`${ input.price }`, `1.10`},
		{`${ input.exp }`, `1e3`},
		{`${ input.list }`, `[10,9,1.10]`},
		{`${ {"a": input.price, "b": [input.big]} }`, `{"a":1.10,"b":[12345678901234567890]}`},
		{`${ item.k }`, `3.0`},
		{`${ steps.first.output.total }`, `0.10`},
		{`${ input.yes ? input.price : 0 }`, `1.10`},
		{`${ input.none ?? input.price }`, `1.10`},
		{`${ filter(input.rows, .v > 2)[0].v }`, `2.50`},
		{`${ first(input.list) }`, `10`},
		{`${ let x = input.price; x }`, `1.10`},

		// Operators calculate.
		{`${ input.n + 1 }`, `11`},
		{`${ input.n - input.m }`, `1`},
		{`${ input.price * 2 }`, `2.2`},
		{`${ input.n / 4 }`, `2.5`},
		{`${ input.n % 3 }`, `1`},
		{`${ input.n ** 2 }`, `100`},
		{`${ -input.n }`, `-10`},
		{`${ +input.n }`, `10`},
		{`${ "a" + "b" }`, `"ab"`},
		{`${ 1..input.n | len() }`, `10`},
		{`${ input.list[input.zero] }`, `10`},
		{`${ input.list[index - 4] }`, `10`},
		{`${ input.list[0:input.zero + 2] }`, `[10,9]`},
		{`${ input.n + 0.5 }`, `10.5`},
		{`${ input.n * 1000000 * 1000000 }`, `10000000000000`},

		// Comparisons are numeric, and exact for whole numbers of any size.
		{`${ input.n > input.m }`, `true`},
		{`${ input.n < input.m }`, `false`},
		{`${ input.n >= 10 }`, `true`},
		{`${ input.m <= 8.5 }`, `false`},
		{`${ input.price == 1.1 }`, `true`},
		{`${ input.exp == 1000 }`, `true`},
		{`${ input.big == input.bigger }`, `false`},
		{`${ input.big < input.bigger }`, `true`},
		{`${ input.big != input.big }`, `false`},
		{`${ input.n == "10" }`, `false`},
		{`${ [1.0, 2] == [1, 2.0] }`, `true`},
		{`${ {"a": input.price} == {"a": 1.1} }`, `true`},
		{`${ input.none == nil }`, `true`},
		{`${ 9.0 in input.list }`, `true`},
		{`${ 8 in input.list }`, `false`},
		{`${ 8 not in input.list }`, `true`},
		{`${ "a" in input.obj }`, `true`},
		{`${ "a" in input.names and not ("c" in input.names) }`, `true`},
		{`${ input.n == 10 and input.m == 9 || false }`, `true`},
		{`${ any(input.list, # == 1.1) }`, `true`},

		// Functions calculate, and give back numbers as written where they choose one.
		{`${ max(input.n, input.price) }`, `10`},
		{`${ min(input.n, input.price) }`, `1.10`},
		{`${ max(input.list) }`, `10`},
		{`${ max(input.big, input.bigger) }`, `12345678901234567891`},
		{`${ sum(input.list) }`, `20.1`},
		{`${ sum(input.rows, .v) }`, `12.5`},
		{`${ mean([input.n, 20]) }`, `15`},
		{`${ median(input.list) }`, `9`},
		{`${ sort(input.list) }`, `[1.10,9,10]`},
		{`${ sort(input.list, "desc") }`, `[10,9,1.10]`},
		{`${ sort(input.names) }`, `["a","b","b"]`},
		{`${ map(sortBy(input.rows, .v, "desc"), .v) }`, `[10,2.50]`},
		{`${ uniq([input.n, 10, 10.0, "10"]) }`, `[10,"10"]`},
		{`${ abs(-input.n) }`, `10`},
		{`${ round(input.price) }`, `1`},
		{`${ int(input.text) + 1 }`, `13`},
		{`${ int(input.price) }`, `1`},
		{`${ float(input.n) / 4 }`, `2.5`},
		{`${ string(input.big) }`, `"12345678901234567890"`},
		{`${ string(input.n * 1000000) }`, `"10000000"`},
		{`${ type(input.n) + type(input.price) + type(input.text) + type(input.none) }`, `"intfloatstringnull"`},
		{`${ take(input.list, input.zero + 1) }`, `[10]`},
		{`${ repeat("ab", input.m - 7) }`, `"abab"`},
		{`${ replace("a-b", "-", "+") }`, `"a+b"`},
		{`${ join([1, "a", input.price], ",") }`, `"1,a,1.10"`},
		{`${ toJSON(input.obj) }`, `"{\"a\":[true,null],\"b\":1}"`},
		{`${ fromJSON('{"n":1.50}').n }`, `1.50`},
		{`${ count(input.list, # > 5) }`, `2`},
		{`${ reduce(input.list, #acc + #, 0) }`, `20.1`},
		{`${ groupBy(input.rows, .id) }`, `{"1":[{"id":1,"v":2.50}],"2":[{"id":2,"v":10}]}`},
		{`${ upper("a") + trim(" b ") }`, `"Ab"`},
		{`${ split("a,b", ",") }`, `["a","b"]`},
		{`${ bitand(input.n, 2) }`, `2`},
		{`${ flatten([[1], [input.price, [2]]]) }`, `[1,1.10,2]`},
		{`${ concat(input.list, [1]) }`, `[10,9,1.10,1]`},
		{`${ reverse(input.list) }`, `[1.10,9,10]`},
		{`${ splitAfter("a,b", ",") }`, `["a,","b"]`},
		{`${ split("a,b,c", ",", 2) }`, `["a","b,c"]`},
		{`${ replace("aaa", "a", "b", 1) }`, `"baa"`},
		{`${ input.s contains "<" and input.s startsWith "a" and input.s matches "b>" }`, `true`},
		{`${ len(input.list) + len("abc") }`, `6`},

		// Skipped steps are null; only what says so reads through null.
		{`${ steps.skipped.output }`, `null`},
		{`${ steps.skipped.output?.id }`, `null`},
		{`${ steps.skipped.output?.id ?? "none" }`, `"none"`},
		{`${ steps.skipped.output?.deep?.er ?? 1 }`, `1`},
		{`${ steps.skipped.state }`, `"skipped"`},
		{`${ steps["a-b"].output }`, `1`},
		{`${ steps["a-b"].degraded }`, `true`},
		{`${ input.missing }`, `null`},
		{`${ run.id + "/" + run.labels.team }`, `"run-1/payments"`},

		// Strings.
		{`plain`, `"plain"`},
		{`a ${ input.n } b ${ input.s }`, `"a 10 b a<b>&c"`},
		{`${ input.s }`, `"a<b>&c"`},
		{`order-${ input.big }`, `"order-12345678901234567890"`},
		{`x${ input.obj }`, `"x{\"a\":[true,null],\"b\":1}"`},
		{`${ "}" + "{" }`, `"}{"`},
		{`${ '}' }`, `"}"`},
		{"${ `}\\` }", `"}\\"`},
		{`${ "\"}" }`, `"\"}"`},
		{`${ {"a": {"b": 1}}.a.b }!`, `"1!"`},
		{`$${ input.n }`, `"${ input.n }"`},
		{`a $${ ${ input.n }`, `"a ${ 10"`},
		{`$$${x}`, `"$${x}"`},
		{`$5 and $ and {}`, `"$5 and $ and {}"`},
		{`${ input.quote }`, `"say \"hi\"\n"`},
		{` ${ input.n }`, `" 10"`},
		{``, `""`},
	} {
		got, err := render(t, c.template)
		if err != nil || got != c.want {
			t.Errorf("%s\n gives %s, %v\n  want %s", c.template, got, err, c.want)
		}
	}
}

// shared puts one list into another ten times, four times over: little to make, much to read.
const shared = `let a = map(1..1000, 1); let b = [a,a,a,a,a,a,a,a,a,a]; let c = [b,b,b,b,b,b,b,b,b,b]; let d = [c,c,c,c,c,c,c,c,c,c]; let e = [d,d,d,d,d,d,d,d,d,d,d,d]; `

func TestTemplatesFail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ template, want string }{
		{`a ${ input.none }`, `x: ${ input.none }, character 1: null cannot be part of a longer string`},
		{`a ${ steps.skipped.output }`, `null cannot be part of a longer string`},
		{`${ steps.skipped.output.id }`, `${ steps.skipped.output.id }, character 22: cannot fetch id from null`},
		{`${ input.missing.deeper }`, `cannot fetch deeper from null`},
		{`${ input.n + "a" }`, `cannot add a number and a string`},
		{`${ input.n < "a" }`, `cannot compare a number with a string`},
		{`${ input.none > 1 }`, `cannot compare null with a number`},
		{`${ input.s - 1 }`, `invalid operation: string - int`},
		{`${ not input.n }`, `character 1: the value here is a number, not a boolean`},
		{`${ input.n ? 1 : 2 }`, `the value here is a number, not a boolean`},
		{`${ input.n / input.zero }`, `not a finite number`},
		{`${ input.n % input.zero }`, `division by zero`},
		{`${ input.price % 2 }`, `% needs whole numbers`},
		{`${ input.huge * 10 }`, `not a finite number`},
		{`${ len(input.n) }`, `invalid argument for len`},
		{`${ sum(input.names) }`, `sum`},
		{`${ sort([1, "a"]) }`, `sort needs numbers only or strings only`},
		{`${ max(input.names) }`, `min and max need numbers`},
		{`${ fromJSON("{") }`, `not JSON`},
		{`${ 1..2000000 }`, `memory budget exceeded`},
		{`${ repeat(repeat("x", 1000000), 1000000) }`, `longer than 1 MiB`},
		{`${ let a = repeat("x", 1000000); a + a }`, `longer than 1 MiB`},
		{`${ replace(repeat("x", 100000), "x", repeat("y", 100000)) }`, `longer than 1 MiB`},
		{`${ join(map(1..1000, repeat("x", 10000))) }`, `longer than 1 MiB`},
		{`${ let a = 1..200000; [concat(a, a), concat(a, a)] }`, `memory budget exceeded`},
		{`${ uniq(map(1..2000, [#])) }`, `the expression does too much`},
		{`${ map(1..3000, uniq(1..3000) | len()) }`, `memory budget exceeded`},
		{`${ map(1..1000, repeat("a", 1000000)) }`, `the expression does too much`},
		{`${ map(1..100000, split(repeat("a", 1000000), "")) }`, `the expression does too much`},
		{`${ map(1..100000, fromJSON("[1,2,3,4,5,6,7,8,9,10]")) }`, `the expression does too much`},
		{`${ let s = repeat("a", 1000000); count(1..100000, s matches "b") }`, `the expression does too much`},
		{`${ let s = repeat("a", 1000000); count(1..100000, s == s + "") }`, `the expression does too much`},
		{`${ let s = repeat("a", 1000000); map(1..100000, upper(s)) }`, `the expression does too much`},
		{`${ let l = 1..10000; count(1..10000, -1 in l) }`, `the expression does too much`},
		{`${ let l = [1..10000]; count(1..10000, l == l) }`, `the expression does too much`},
		{`${ let l = 1..10000; count(1..10000, max(l) < 0) }`, `the expression does too much`},
		{`${ ` + shared + `e }`, `the value is larger than 8 MiB`},
		{`${ ` + shared + `toJSON(e) }`, `the value is larger than 8 MiB`},
		{`x ${ ` + shared + `e }`, `the value is larger than 8 MiB`},
		{`${ ` + shared + `flatten(e) }`, `the expression does too much`},
		{`${ ` + shared + `max(e) }`, `the expression does too much`},
		{`${ ` + shared + `median(e) }`, `the expression does too much`},
		{`${ ` + shared + `e == [e[0]] or e == e }`, `the expression does too much`},
		{`${ reduce(1..20000, [#acc], 0) }`, `nested deeper than 10000`},
		{`${ let l = reduce(1..20000, [#acc], 0); l == l }`, `nested deeper than 10000`},
		{`${ flatten(reduce(1..20000, [#acc], [])) }`, `nested deeper than 10000`},
		{`${ sum(reduce(1..20000, [#acc], [])) }`, `nested deeper than 10000`},
		{`${ 1 in input.n }`, "`in` needs a list or an object, not a number"},
		{`${ input.n() }`, `call`},
		{`${ input.list[7] }`, `index out of range`},
		{`${ input.yes + 1 }`, `cannot add a boolean and a number`},
		{`${ any(input.none, true) }`, `a list is needed here, not null`},
		{`${ map(input.obj, #) }`, `a list is needed here, not an object`},
		{`${ reverse(input.none) }`, `a list is needed here, not null`},
		{`${ input.none[0:1] }`, `only a list or a string has parts`},
		{`${ upper(input.n) }`, `the value here is a number, not a string`},
		{`${ int(input.none) }`, `a number is needed here, not null`},
		{`${ int(input.big) }`, `12345678901234567890 is too large for int`},
		{`${ int(2 ** 63) }`, `too large for int`},
		{`${ int(1e30) }`, `too large for int`},
		{`${ int(0 / 0) }`, `too large for int`},
	} {
		got, err := render(t, c.template)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n gives %.80s, %v\n  want an error with %q", c.template, got, err, c.want)
		}
	}
}

func TestTemplatesRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		template string
		at       int // character of the fault
		want     string
	}{
		{`${ inpt.n }`, 3, `unknown name "inpt" (did you mean "input"?)`},
		{`a ${ input.n } ${ itme }`, 18, `unknown name "itme" (did you mean "item"?)`},
		{`${ params.x }`, 3, `"params" is not known here: it is for the tools file`},
		{`${ steps }`, 3, "`steps` alone is not a value"},
		{`${ len(steps) }`, 7, "`steps` alone is not a value"},
		{`${ steps[input.n].output }`, 15, `the step must be named, not computed`},
		{`${ steps.fist.output }`, 9, `unknown step "fist" (did you mean "first"?)`},
		{`${ steps.later.output }`, 9, `step "later" is not among the needs of this step, so it may not be done yet (add "later" to needs)`},
		{`${ steps.first.outptu }`, 15, `steps.first has no field "outptu" (did you mean "output"?)`},
		{`${ steps.a-b.output }`, 9, `unknown step "a" (write steps["a-b"])`},
		{`${ run.name }`, 7, `run has no field "name"`},
		{`${ $env }`, 3, `unknown name "$env"`},
		{`${ $env.input }`, 3, `unknown name "$env"`},
		{`${ now() }`, 3, `the function now is not available: the same plan must always give the same result`},
		{`${ date("2020-01-01") }`, 3, `the function date is not available`},
		{`${ keys(input) }`, 3, `the function keys is not available`},
		{`${ values(input) }`, 3, `the function values is not available`},
		{`${ toPairs(input) }`, 3, `the function toPairs is not available`},
		{`${ uper("a") }`, 3, `unknown function "uper" (did you mean "upper"?)`},
		{`${ map(input.rows, filter(#.l, # > 1)) }`, 31, `a closure inside a closure is not allowed`},
		{`${ all(input.rows, any(input.list, # == 1)) }`, 35, `a closure inside a closure is not allowed`},
		{`${ input. }`, 9, `unexpected end of expression`},
		{`${ 1 + }`, 6, `the expression ends too early`},
		{`${ }`, 0, `the expression is empty`},
		{`x ${ input.n`, 2, "`${` without a closing brace (write $${ for a plain ${)"},
		{`${ "abc }`, 0, "`${` without a closing brace"},
		{`${ add·(1, 2) }`, 0, `·`},
		{`${ upper(1) }`, 9, `cannot use int as argument`},
		{`${ input.n == null }`, 14, `unknown name "null" (write nil)`},
		{`${ input.n < 12345678901234567890 }`, 0, `the number 12345678901234567890 is too large to be written in an expression`},
		{`${ int(nil) }`, 3, `invalid argument for int (type null)`},
	} {
		_, faults := CompileTemplate(c.template, "x", aView())
		if len(faults) == 0 {
			t.Errorf("%s is not refused", c.template)
			continue
		}
		got := yamldoc.Problem{Message: faults[0].Message, Hint: faults[0].Hint}.String()
		if !strings.Contains(got, c.want) || c.at > 0 && faults[0].At != c.at {
			t.Errorf("%s\n is refused at %d with %s\n       want %d with %s", c.template, faults[0].At, got, c.at, c.want)
		}
	}
}

func TestExpressionsAreBounded(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"long":  strings.Repeat("1+", maxExpression) + "1",
		"nodes": strings.Repeat("1+", maxNodes) + "1",
		"deep":  strings.Repeat("(", maxExpression/2) + "1",
		"utf8":  "\"\xff\"",
	} {
		if _, faults := Compile(text, aView(), false); len(faults) == 0 {
			t.Errorf("%s: not refused", name)
		}
	}
}

func TestOnlyWhatIsUsedIsRead(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		`constant`:                                "",
		`$${ input.n }`:                           "",
		`${ 1 + 1 }`:                              "",
		`${ input.n }`:                            "input",
		`${ input.n + input.m }`:                  "input",
		`${ steps.first.output.id }`:              "steps.first",
		`${ index } ${ steps.skipped.state }`:     "steps.skipped",
		`${ steps.first.state == "succeeded" }`:   "steps.first",
		`${ let steps2 = input.n; steps2 + 1 }`:   "input",
		`${ run.id }: ${ steps["a-b"].degraded }`: "steps.a-b",
	} {
		compiled, faults := CompileTemplate(template, "x", aView())
		if len(faults) > 0 {
			t.Fatalf("%s: %v", template, faults)
		}
		w := aWorld()
		if _, err := compiled.over(w); err != nil {
			t.Fatalf("%s: %v", template, err)
		}
		if got := strings.Join(w.reads, " "); got != want {
			t.Errorf("%s reads %q, want %q", template, got, want)
		}
	}
}

func TestObjectTemplates(t *testing.T) {
	t.Parallel()
	raw := json.RawMessage(`{"z":"${ input.n }","a":["${ input.price }","x ${ item.k }",{"k":"$${ y }"}],"n":1.50,"e":{},"l":[],"nil":null,"<":"&"}`)
	compiled, err := CompileJSON(raw, aView())
	if err != nil {
		t.Fatal(err)
	}
	got, err := compiled.over(aWorld())
	const want = `{"<":"&","a":[1.10,"x 3.0",{"k":"${ y }"}],"e":{},"l":[],"n":1.50,"nil":null,"z":10}`
	if err != nil || string(got) != want {
		t.Errorf("gives %s, %v\n want %s", got, err, want)
	}
}

func TestConditionsAndLists(t *testing.T) {
	t.Parallel()
	w := aWorld()
	for _, c := range []struct{ text, want string }{
		{`input.n > 5`, `true`},
		{`${ input.n > 50 }`, `false`},
		{`input.n`, `gives a number, not true or false`},
		{`steps.skipped.output`, `gives null, not true or false`},
		{`steps.skipped.output.paid`, `cannot fetch paid from null`},
	} {
		e, err := CompileBare(c.text, aView(), true)
		if err != nil {
			t.Fatal(err)
		}
		if got := outcome(e.conditionOver(w)); !strings.Contains(got, c.want) {
			t.Errorf("when %s gives %s, want %s", c.text, got, c.want)
		}
	}
	for _, c := range []struct{ text, want string }{
		{`${ input.list }`, `[10,9,1.10]`},
		{`1..3`, `[1,2,3]`},
		{`steps.skipped.output ?? []`, `[]`},
		{`steps.skipped.output`, `${ steps.skipped.output }, character 1: gives null, not a list`},
	} {
		e, err := CompileBare(c.text, aView(), false)
		if err != nil {
			t.Fatal(err)
		}
		if got := outcome(e.listOver(w)); got != c.want {
			t.Errorf("for_each %s gives %s, want %s", c.text, got, c.want)
		}
	}
	if _, err := CompileBare(`1 + 1`, aView(), true); err == nil {
		t.Error("a condition that gives a number compiles")
	}
}

func outcome(raw json.RawMessage, err error) string {
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

func TestURLsAreEncoded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ params, want string }{
		{`{"o":"a/b c?d&e=ü#%"}`, `http://h/orders/a%2Fb%20c%3Fd%26e%3D%C3%BC%23%25?q=a%2Fb%20c%3Fd%26e%3D%C3%BC%23%25`},
		{`{"o":12345678901234567890}`, `http://h/orders/12345678901234567890?q=12345678901234567890`},
		{`{"o":".."}`, `".." cannot be part of a URL's path`},
		{`{"o":null}`, `null cannot be part of a longer string`},
		{`{"o":"a+b"}`, `http://h/orders/a%2Bb?q=a%2Bb`},
	} {
		text, faults := CompileText(`http://h/orders/${ params.o }?q=${ params.o }`, Readable{Roots: []string{"params"}}, EncodeSegment)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		got, err := text.evaluate(withParams(steps.Decode(json.RawMessage(c.params))))
		if err != nil {
			got = err.Error()
		}
		if !strings.HasSuffix(got, c.want) {
			t.Errorf("%s gives %s\n want %s", c.params, got, c.want)
		}
	}
}

// TestExpressionsAreShared: all runs of a plan evaluate the same compiled expressions, at the same time.
func TestExpressionsAreShared(t *testing.T) {
	t.Parallel()
	compiled, err := CompileJSON(json.RawMessage(`{"a":"${ sort(input.list) }","b":"x ${ steps.first.output.id + input.n }"}`), aView())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got := outcome(compiled.over(aWorld())); got != `{"a":[1.10,9,10],"b":"x 17"}` {
					t.Error(got)
				}
			}
		})
	}
	wg.Wait()
}
