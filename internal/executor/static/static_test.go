package static_test

import (
	"encoding/json"
	"testing"

	"belay/internal/executor"
	"belay/internal/executor/executortest"
	"belay/internal/executor/static"
)

const value = `{"price":12345678901234567890}`

func TestConformance(t *testing.T) {
	executortest.Exercise(t, executortest.Subject{
		Succeed: func(*testing.T) executor.Executor { return static.New(executor.Static{Output: json.RawMessage(value)}) },
		Want:    func(json.RawMessage) json.RawMessage { return json.RawMessage(value) },
	})
}

func BenchmarkExecute(b *testing.B) {
	x, req := static.New(executor.Static{Output: json.RawMessage(value)}), executortest.Request(`{}`)
	for b.Loop() {
		if _, err := x.Execute(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}
