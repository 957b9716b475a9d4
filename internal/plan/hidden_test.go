package plan

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSecretsOfTheToolsFileAreHidden(t *testing.T) {
	t.Parallel()
	tools, err := ParseTools("tools.yaml", []byte(`
tools:
  web:
    effects: none
    rungs:
      - http:
          url: "https://mia:hun%2Fter2@x/${ params.id }?api_key=k-1&page=2&page_token=${ params.token }"
          headers: {X-Api-Key: "k-2", Authorization: "Bearer k-3", Author: "mia", Idempotency-Key: "i-1", X-Token: "${ params.token }"}
          query: {signature: k-4, sort: up}
  shell:
    effects: none
    rungs:
      - command: {argv: [x, --token, k-5, --password=k-6, --mode=fast, "--key=${ params.k }"], env: [PATH, MODE=test, API_KEY=k-7]}
  bus:
    effects: none
    rungs:
      - nats: {subject: a.b, headers: {X-Auth: k-8, A: b}}
`))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	maps.Copy(got, tools.Tools["web"].Rungs[0].Spec.HTTP.Hidden)
	maps.Copy(got, tools.Tools["shell"].Rungs[0].Spec.Command.Hidden)
	maps.Copy(got, tools.Tools["bus"].Rungs[0].Spec.NATS.Hidden)
	want := map[string]string{
		"password of the url": "hun/ter2", "query api_key": "k-1", "header X-Api-Key": "k-2",
		"header Authorization": "Bearer k-3", "Bearer header Authorization": "k-3", "query signature": "k-4",
		"argument --token": "k-5", "argument --password": "k-6", "API_KEY": "k-7", "header X-Auth": "k-8",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
