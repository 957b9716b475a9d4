package plan

import "testing"

// TestDependencies: what a rung leans on, in whatever way its target is written.
func TestDependencies(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"GET https://API.example.com:8443/x/${ params.a }": "api.example.com:8443", "GET https://***@a.example/x?y=1": "a.example",
		"GET http://${ params.host }/x": "unknown (${ params.host })", "GET http://${ params.a + '/' }.example.com?q": "unknown (${ params.a + '/' }.example.com)", "POST http://a": "a",
	} {
		if got := hostOf(target); got != want {
			t.Errorf("%s leans on %q, not %q", target, got, want)
		}
	}
	for target, want := range map[string]string{"cat x": "cat", "python3 words.py": "python3 words.py", "'${ params.p }' x": "unknown ('${ params.p }' x)"} {
		if got := programOf(target); got != want {
			t.Errorf("%s leans on %q, not %q", target, got, want)
		}
	}
}
