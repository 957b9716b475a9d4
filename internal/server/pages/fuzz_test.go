package pages

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"belay/internal/people"
)

// FuzzSaid: what a cookie says of an act is shown only if it names one.
func FuzzSaid(f *testing.F) {
	body, err := json.Marshal(said{Action: "approve", Effect: "e"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"A":"approve"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.AddCookie(&http.Cookie{Name: saidCookie, Value: base64.RawURLEncoding.EncodeToString(body)})
		if s := new(Console).readSaid(httptest.NewRecorder(), r, "/e/x"); s != nil && (verbWords[s.Action].Label == "" && s.Action != people.Steer || s.Words() == "") {
			t.Fatalf("%s: %+v", body, s)
		}
	})
}
