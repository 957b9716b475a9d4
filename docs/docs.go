// Package docs holds the manual. internal/manual reads and serves it, and its tests execute or lint every block of it.
package docs

import "embed"

// Pages are the pages of the manual, as they are written.
//
//go:embed *.md operating/*.md
var Pages embed.FS
