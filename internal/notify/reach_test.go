package notify

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestReachSendsNothing: whoever answers is seen, and asked nothing.
func TestReachSendsNothing(t *testing.T) {
	t.Parallel()
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
	t.Cleanup(hook.Close)
	mail, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mail.Close() })
	go func() {
		for {
			c, err := mail.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("220 mail.example.com ready\r\n"))
		}
	}()
	at := mail.Addr().(*net.TCPAddr)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	for name, c := range map[string]struct {
		channel Channel
		want    string // empty = it answers
	}{
		"a webhook":             {newSlack(hook.URL+"/secret", "http://127.0.0.1"), ""},
		"a mail server":         {newEmail("lead", "http://127.0.0.1", mailServer{Host: "127.0.0.1", Port: at.Port, TLS: "none"}, "", ""), ""},
		"a webhook that is off": {newSlack("http://"+gone.Addr().String()+"/secret", "http://127.0.0.1"), "does not answer"},
		"no mail server":        {newEmail("lead", "http://127.0.0.1", mailServer{Host: "127.0.0.1", Port: gone.Addr().(*net.TCPAddr).Port, TLS: "none"}, "", ""), "does not answer"},
	} {
		seen, err := Reach(t.Context(), c.channel)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || strings.Contains(seen, "secret") {
			t.Errorf("%s: %q, %v", name, seen, err)
		}
	}
}
