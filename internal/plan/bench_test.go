package plan

import (
	"fmt"
	"strings"
	"testing"

	"belay/internal/steps"
)

func benchDocument(b *testing.B, count int) []byte {
	var text strings.Builder
	text.WriteString("name: bench\ninput: {order: A-1, amount: 1.10}\nsteps:\n")
	for i := range count {
		fmt.Fprintf(&text, "- {id: s%d, tool: t, when: input.amount > 1, with: {order: \"${ input.order }\", fixed: 1}}\n", i)
	}
	tools, err := ParseTools("tools.yaml", []byte(sampleToolsSmall))
	if err != nil {
		b.Fatal(err)
	}
	doc, err := ParsePlan("plan.yaml", []byte(text.String()), tools)
	if err != nil {
		b.Fatal(err)
	}
	return doc.JSON
}

func BenchmarkCompile(b *testing.B) {
	for _, count := range []int{5, 500} {
		b.Run(fmt.Sprintf("%d-steps", count), func(b *testing.B) {
			doc := benchDocument(b, count)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCachedProgram(b *testing.B) {
	doc, c := benchDocument(b, 5), NewCache(8)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Program(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvaluate(b *testing.B) {
	for name, text := range map[string]string{
		"constant":   `{"a":1}`,
		"whole":      `{"order":"${ input.order }"}`,
		"text":       `{"order":"order ${ input.order } of ${ run.id }"}`,
		"arithmetic": `{"n":"${ input.amount * 2 + 1 }"}`,
	} {
		b.Run(name, func(b *testing.B) {
			t, faults := compileTemplate(steps.Decode([]byte(text)), "", aView())
			if len(faults) > 0 {
				b.Fatal(faults)
			}
			w := &world{input: `{"order":"A-1","amount":1.10}`}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := t.over(w); err != nil {
					b.Fatal(err)
				}
				w.reads = w.reads[:0]
			}
		})
	}
}
