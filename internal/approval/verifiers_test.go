package approval

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belay/internal/executor"
	"belay/internal/steps"
)

const callKey = "run-1/pay/0"

// payment is a call that people are asked about, and what a service gets of it.
type payment struct {
	tool   steps.Tool
	params string
	key    string
	valid  time.Duration
	by     []string
	signer *Signer
}

// header is what a worker shows of a payment that people have approved.
func (p payment) header(t *testing.T) string {
	t.Helper()
	digest, err := p.tool.CallDigest(json.RawMessage(p.params))
	if err != nil {
		t.Fatal(err)
	}
	m := steps.StepMessage{Run: "run-1", Attempt: steps.Attempt{Step: "pay", Try: 1}, Tool: p.tool.Name, Params: json.RawMessage(p.params), Key: p.key}
	for _, by := range p.by {
		g := steps.Grant{Run: m.Run, Step: m.Step, Tool: m.Tool, Digest: digest, Escalation: "run-1-1", By: by, CallKey: p.key}
		if g, err = p.signer.Sign(g, time.Now(), p.valid); err != nil {
			t.Fatal(err)
		}
		m.Grants = append(m.Grants, g)
	}
	return executor.GrantHeader(&p.tool, m)
}

func signerIn(t *testing.T) *Signer {
	t.Helper()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pay starts a payment service of examples/grants that knows a key, and returns its address and what it prints.
func pay(t *testing.T, keys string, argv ...string) (url string, said *bufio.Scanner) {
	t.Helper()
	for i, arg := range argv {
		if arg == "KEYS" {
			argv[i] = keys
		}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Stderr = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1"), t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	said = bufio.NewScanner(out)
	said.Scan()
	address, is := strings.CutPrefix(said.Text(), "listening on ")
	if !is {
		t.Fatalf("it says %q", said.Text())
	}
	return "http://" + address, said
}

// services are the commands of the services in each language.
func services(t *testing.T) map[string][]string {
	t.Helper()
	dir, err := filepath.Abs("../../examples/grants")
	if err != nil {
		t.Fatal(err)
	}
	goService := filepath.Join(t.TempDir(), "grants")
	if out, err := exec.Command("go", "build", "-o", goService, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	all := map[string][]string{"go": {goService, "-keys", "KEYS", "-listen", "127.0.0.1:0"}}
	if exec.Command("python3", "-c", "import cryptography").Run() == nil {
		all["python"] = []string{"python3", filepath.Join(dir, "service.py"), "KEYS", "127.0.0.1:0"}
	}
	if _, err := exec.LookPath("node"); err == nil {
		all["node"] = []string{"node", filepath.Join(dir, "service.mjs"), "KEYS", "127.0.0.1:0"}
	}
	return all
}

// TestServicesRefuseWhatNobodyHasApproved: the services of examples/grants pay what people have approved, once, and nothing else.
func TestServicesRefuseWhatNobodyHasApproved(t *testing.T) {
	t.Parallel()
	signer := signerIn(t)
	public, err := signer.Public()
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "keys.txt")
	if err := os.WriteFile(keys, fmt.Appendf(nil, "# somewhere, since 2026-11-28\n%s\n", public), 0o600); err != nil {
		t.Fatal(err)
	}
	all := services(t)
	for _, language := range []string{"go", "python", "node"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			if all[language] == nil {
				t.Skip("it is not installed here, or has no cryptography")
			}
			url, said := pay(t, keys, all[language]...)
			besiege(t, url, said, signer)
		})
	}
}

const honest = `{"amount":120,"memo":"für <Ann> & {\"amount\":9}","order":"A-1009"}`

func besiege(t *testing.T, url string, said *bufio.Scanner, signer *Signer) {
	t.Helper()
	tool := steps.Tool{Name: "payments.refund", Definition: map[string]string{"approval": "a1", "summary": "s<1>"}}
	good := payment{tool: tool, params: honest, key: callKey, valid: time.Hour, by: []string{"mia", "bo"}, signer: signer}
	header := good.header(t)
	for what, a := range attacks(t, good) {
		if status := post(t, url, a.header, a.key, a.body); status != http.StatusForbidden {
			t.Errorf("%s: %d", what, status)
		}
	}
	for range 2 {
		if status := post(t, url, header, callKey, honest); status != http.StatusOK {
			t.Fatalf("what people have approved is answered with %d", status)
		}
	}
	other := good
	other.key = "run-1/pay/1"
	if status := post(t, url, other.header(t), other.key, honest); status != http.StatusOK {
		t.Fatalf("another call that people have approved is answered with %d", status)
	}
	for range 2 { // one line for each call, not one for each request
		if said.Scan(); said.Text() != "paid 120 for A-1009 approved by 2" {
			t.Errorf("it says %q", said.Text())
		}
	}
	t.Logf("%d attacks, all refused; 2 calls that people have approved, in 3 requests, paid once each", len(attacks(t, good)))
}

type attack struct{ header, key, body string }

func attacks(t *testing.T, good payment) map[string]attack {
	t.Helper()
	header := good.header(t)
	changed := func(how func(p *payment)) string {
		p := good
		how(&p)
		return p.header(t)
	}
	parts := strings.Split(header, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	definition, _ := base64.RawURLEncoding.DecodeString(parts[1])
	cut := strings.Index(honest, `{\"`)
	split := append([]string{"v1", b64(append(append(definition, '\n'), honest[:cut]...))}, parts[2:]...)
	forged, _ := json.Marshal(map[string]any{"tool": "payments.refund", "by": "mia", "call_key": callKey, "key": "__proto__", "expires": time.Now().Add(time.Hour)})
	return map[string]attack{
		"without an approval":           {"", callKey, honest},
		"another amount":                {header, callKey, strings.Replace(honest, "120", "9000", 1)},
		"another order":                 {header, callKey, strings.Replace(honest, "A-1009", "A-1010", 1)},
		"the same, written differently": {header, callKey, honest + " "},
		"no body":                       {header, callKey, ""},
		"another key":                   {header, "run-1/pay/1", honest},
		"no key":                        {header, "", honest},
		"an approval without a key":     {changed(func(p *payment) { p.key = "" }), "", honest},
		"another tool's":                {changed(func(p *payment) { p.tool.Name = "payments.quote" }), callKey, honest},
		"of another definition":         {strings.Join(append([]string{"v1", b64([]byte(`{}`))}, parts[2:]...), "."), callKey, honest},
		"expired":                       {changed(func(p *payment) { p.valid = -2 * time.Minute }), callKey, honest},
		"signed by a foreign key":       {changed(func(p *payment) { p.signer = signerIn(t) }), callKey, honest},
		"one of two is foreign":         {header + "." + strings.Join(strings.Split(changed(func(p *payment) { p.signer = signerIn(t) }), ".")[2:4], "."), callKey, honest},
		"a statement of its own":        {strings.Join([]string{"v1", parts[1], b64(append([]byte("belay approval v1\n"), forged...)), parts[3]}, "."), callKey, honest},
		"signatures exchanged":          {strings.Join([]string{"v1", parts[1], parts[2], parts[5]}, "."), callKey, honest},
		"without a signature":           {strings.Join(parts[:3], "."), callKey, honest},
		"an empty signature":            {strings.Join(parts[:3], ".") + ".", callKey, honest},
		"nobody's":                      {strings.Join(parts[:2], "."), callKey, honest},
		"another version":               {"v2" + strings.TrimPrefix(header, "v1"), callKey, honest},
		"cut elsewhere":                 {strings.Join(split, "."), callKey, honest[cut:]},
		"not an approval":               {"v1.!.!.!", callKey, honest},
	}
}

// post asks a service to pay, and returns the status of its answer.
func post(t *testing.T, url, header, key, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/refunds", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	if header != "" {
		r.Header.Set("Belay-Grant", header)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}
