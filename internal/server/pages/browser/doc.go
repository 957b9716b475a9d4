// Package browser tests the web console in a real Chromium: `go test` serves a world of questions on a free port and
// has node run the tests beside this file against it. They need chromium, node and `npm ci` in this folder. Without
// them the tests are skipped, unless BELAY_BROWSER=1 says that they must run.
package browser
