package pages_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"belay/internal/injection"
	"belay/internal/server/pages"
	"belay/internal/server/pages/pagestest"
)

// TestEveryPageSaysThatFaultsAreInjected, which tool, how often, until when and by whom; and nothing once they are over. What
// people wrote is escaped.
func TestEveryPageSaysThatFaultsAreInjected(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Empty(clock))
	order := injection.Order{ID: "a", Tool: "payments.refund", Kind: injection.Fault, Class: "unavailable", Acted: injection.Before, Rate: .2, By: "<b>mia", Until: noon.Add(10 * time.Minute), Reason: "game day"}
	over := order
	over.Tool, over.Until = "orders.lookup", noon
	faults := []injection.Order{over, order}
	s.options.Faults = func() []injection.Order { return faults }
	s.Server.Close()
	s.Server = httptest.NewServer(pages.New(s.options))
	for _, path := range []string{"/", "/runs", "/tools", "/trends", "/system", "/nowhere"} {
		body := s.get(path).body
		for _, want := range []string{"Faults are injected on purpose", "payments.refund: unavailable in place of the call", "20 %", "03:22:00 UTC", "&lt;b&gt;mia", "game day"} {
			if !strings.Contains(body, want) {
				t.Errorf("%s does not say %q", path, want)
			}
		}
		if strings.Contains(body, "orders.lookup: unavailable") {
			t.Errorf("%s shows a fault that is over", path)
		}
	}
	faults = append(faults, order, order, order)
	if body := s.get("/").body; strings.Count(body, "payments.refund: unavailable") != 3 || !strings.Contains(body, "and 1 more") {
		t.Error("four faults are not three and one more")
	}
	faults = nil
	if body := s.get("/").body; strings.Contains(body, "on purpose") {
		t.Error("a page warns of nothing")
	}
}
