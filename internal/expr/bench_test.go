package expr

import (
	"testing"

	"belay/internal/steps"
)

func BenchmarkEvaluate(b *testing.B) {
	for name, text := range map[string]string{
		"constant":   `{"a":1}`,
		"whole":      `{"order":"${ input.order }"}`,
		"text":       `{"order":"order ${ input.order } of ${ run.id }"}`,
		"arithmetic": `{"n":"${ input.amount * 2 + 1 }"}`,
	} {
		b.Run(name, func(b *testing.B) {
			t, faults := CompileTemplate(steps.Decode([]byte(text)), "", aView())
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
