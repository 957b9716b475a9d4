// Package examples holds plans and programs to run. The manual links to them, so every program carries them.
package examples

import "embed"

// Files are the examples, as they are written.
//
//go:embed *.yaml data embedded github goworker natsworker remote shop grants agent agents/*.mjs agents/*.yaml agents/loop.py agents/package.json
var Files embed.FS
