// Package deploy holds what an installation is set up with.
package deploy

import "embed"

// Files are alerts for Prometheus.
//
//go:embed prometheus
var Files embed.FS
