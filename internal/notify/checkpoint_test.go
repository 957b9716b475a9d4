package notify

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"belay/internal/outbound"
)

// TestCheckpointsArePosted: a receiver checks the signature and stores the body as it came; a repeat has the same id; a refusal is an
// error that tells nothing of the URL.
func TestCheckpointsArePosted(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	check, err := webhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	file, refuse := filepath.Join(t.TempDir(), "received.jsonl"), false
	var ids []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || check.Verify(body, r.Header) != nil || refuse {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		ids = append(ids, r.Header.Get(webhooks.HeaderWebhookID))
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.Write(append(body, '\n'))
			_ = f.Close()
		}
		if err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	post, err := CheckpointPoster(s.URL+"/secret-path", secret, outbound.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one\n", "one\n", "two\n"} {
		if err := post(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if len(ids) != 3 || ids[0] != ids[1] || ids[1] == ids[2] {
		t.Errorf("ids: %q", ids)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	var e checkpointEvent
	if err := json.Unmarshal([]byte(lines[2]), &e); err != nil || e.Data.Checkpoint != "two\n" || e.Type != "dev.belay.audit.checkpoint.v1" || e.SpecVersion != "1.0" {
		t.Errorf("%+v, %v", e, err)
	}
	refuse = true
	if err := post(t.Context(), "three\n"); err == nil || strings.Contains(err.Error(), "secret-path") {
		t.Errorf("refused: %v", err)
	}
	for _, bad := range [][2]string{{"http://ops.example.com", secret}, {s.URL, ""}, {s.URL, "short"}, {"ops", secret}} {
		if _, err := CheckpointPoster(bad[0], bad[1], outbound.Policy{}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
