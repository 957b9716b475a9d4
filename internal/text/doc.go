// Package text has the one rule for texts that come from outside, written by models, tools and strangers, and shown to
// people before they decide: whatever a reader would not see is made visible. The console, the CLI, summaries and notices
// all follow it, each with marks that fit its surface.
//
// Read visible.go first (which characters, and how they are written out), then cut.go (how a text is made to fit).
package text
