// Package deploy holds what an installation is set up with.
package deploy

import "embed"

// Files are alerts for Prometheus and a dashboard for Grafana, and units for systemd.
//
//go:embed prometheus grafana systemd/*.service
var Files embed.FS
