// Package clients holds the clients for other languages, and the tests that run them against the real programs.
package clients

import "embed"

// Files are the clients, as they are written.
//
//go:embed python/README.md python/belay/*.py typescript/*.md typescript/*.js typescript/*.ts typescript/package.json
var Files embed.FS
