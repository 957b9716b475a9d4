package observe_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"belay/internal/genai"
	"belay/internal/observe"
	"belay/internal/steps"
)

func TestCallsOfModelsAreCounted(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	m := observe.NewAttemptMetrics(r)
	m.Asked(genai.Call{Provider: "openai", Model: "m", Took: 3 * time.Second, Usage: &steps.Usage{Input: 1200, Output: 34}})
	m.Asked(genai.Call{Provider: "openai", Model: "m", Took: time.Second, Class: steps.RateLimited})
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		for _, s := range f.GetMetric() {
			var labels []string
			for _, l := range s.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			got = append(got, f.GetName()+" "+strings.Join(labels, ","))
		}
	}
	want := `gen_ai_client_operation_duration_seconds ,chat,openai,m
gen_ai_client_operation_duration_seconds rate_limited,chat,openai,m
gen_ai_client_token_usage chat,openai,m,input
gen_ai_client_token_usage chat,openai,m,output`
	if all := strings.Join(got, "\n"); all != want {
		t.Errorf("metrics are\n%s\nwant\n%s", all, want)
	}
	if problems, err := testutil.GatherAndLint(r); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}
