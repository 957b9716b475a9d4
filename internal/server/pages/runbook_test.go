package pages_test

import (
	"net/http"
	"strings"
	"testing"

	"belay/internal/server/pages"
	"belay/internal/server/pages/pagestest"
)

func TestRunbooks(t *testing.T) {
	t.Parallel()
	for _, good := range []pages.Runbook{"", "https://wiki.example.com", "http://127.0.0.1:8080/r?tool={tool}&class={class}#{kind}", "https://w.example.com/{workflow}/{step}"} {
		if err := good.Check(); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []pages.Runbook{"wiki", "/runbooks/{tool}", "javascript:alert('{tool}')", "https://{tool}.example.com/", "https://", "https://wiki.example.com/{params}", "https://wiki.example.com/{tool"} {
		if bad.Check() == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestACardLeadsToItsRunbook(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	if strings.Contains(s.get("/e/"+pagestest.Shipment).body, "Runbook") {
		t.Error("a card leads to a runbook that nobody named")
	}
	o := s.options
	o.Runbook = "https://wiki.example.com/{tool}#{class}"
	s.Config.Handler = pages.New(o)
	s.get("/e/"+pagestest.Shipment).wants(t, http.StatusOK, `href="https://wiki.example.com/`, `rel="noreferrer noopener"`, "Runbook")
	card, err := s.world.Card(t.Context(), pagestest.Shipment)
	if err != nil {
		t.Fatal(err)
	}
	card.Item.Tool = `"><script>../../evil?x#`
	card.Dossier.Tool = card.Item.Tool
	s.world.Put(card)
	body := s.get("/e/" + pagestest.Shipment).body
	if want := `href="https://wiki.example.com/%22%3E%3Cscript%3E..%2F..%2Fevil%3Fx%23#`; !strings.Contains(body, want) {
		t.Errorf("the page does not say %s", want)
	}
}
