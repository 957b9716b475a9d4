package worker_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// receive is a receiver of webhooks at the address in its first argument, as somebody else would write it: it appends what is signed with the
// secret in its third argument to the file in its second one, a body a line. The first post finds it busy.
func receive() {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Args[3], "whsec_"))
	if err != nil {
		panic(err)
	}
	busy := ""
	err = http.ListenAndServe(os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // a test's, until it is killed
		body, err := io.ReadAll(r.Body)
		id := r.Header.Get("webhook-id")
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, r.Header.Get("webhook-timestamp"), body)
		signed := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		switch {
		case err != nil || r.Header.Get("webhook-signature") != signed:
			w.WriteHeader(http.StatusUnauthorized)
			return
		case busy == "":
			busy = id
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Println("received", id, "busy with it before:", id == busy)
		f, err := os.OpenFile(os.Args[2], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.Write(append(body, '\n'))
		}
		if err != nil {
			panic(err)
		}
		_ = f.Close()
	}))
	panic(err)
}
