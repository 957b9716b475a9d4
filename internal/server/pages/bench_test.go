package pages_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/server/pages"
	"belay/internal/server/pages/pagestest"
)

// crowd is a desk whose list is long and ready.
type crowd struct {
	*pagestest.World
	items []handoff.Item
}

func (c *crowd) Items(context.Context) ([]handoff.Item, error) { return c.items, nil }

// tenThousand are items of which a tenth are alike.
func tenThousand() []handoff.Item {
	items := make([]handoff.Item, 10_000)
	for n := range items {
		card := pagestest.StormCard(n%4096, noon.Add(time.Duration(n)*time.Second))
		items[n] = card.Item
		items[n].ID = fmt.Sprintf("01936f2b-0000-7e21-a5c4-%012x-1", n)
		if n%10 != 0 {
			items[n].Fingerprint = fmt.Sprintf("tool %d", n)
		}
	}
	return items
}

func benchmark(b *testing.B, path string) {
	w := pagestest.Morning(clock)
	c := pages.New(pages.Options{Desk: &crowd{w, tenThousand()}, Runs: w, Tools: w.Tools, Workers: w.Workers, Examine: w.Examine, Gates: w, Schedules: w, Score: w, Changes: &w.Changes, Now: clock,
		Who: func(*http.Request) people.Actor { return pagestest.Approver("mia") }})
	size := 0
	for b.Loop() {
		rec := httptest.NewRecorder()
		c.ServeHTTP(rec, httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil))
		if rec.Code != http.StatusOK {
			b.Fatal(rec.Code)
		}
		size = rec.Body.Len()
	}
	b.ReportMetric(float64(size), "bytes/page")
}

func BenchmarkInboxOf10000(b *testing.B)  { benchmark(b, "/") }
func BenchmarkLastPage(b *testing.B)      { benchmark(b, "/?page=181") }
func BenchmarkFilterOf10000(b *testing.B) { benchmark(b, "/?q=refund+timed+kind:failure") }
func BenchmarkGroupOf1000(b *testing.B) {
	benchmark(b, "/?group="+"payments.refund+primary+timeout+pay.example.com")
}
func BenchmarkNewsOf10000(b *testing.B) {
	benchmark(b, "/news?page=inbox&since=2026-01-01T00:00:00Z&had=9000")
}
func BenchmarkCard(b *testing.B) { benchmark(b, "/e/"+pagestest.Refund) }
func BenchmarkForm(b *testing.B) { benchmark(b, "/e/"+pagestest.Refund+"/edit") }
func BenchmarkRunOf8Attempts(b *testing.B) {
	benchmark(b, "/runs/"+pagestest.Shipment[:len(pagestest.Shipment)-2])
}
