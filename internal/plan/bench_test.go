package plan

import (
	"fmt"
	"strings"
	"testing"
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
