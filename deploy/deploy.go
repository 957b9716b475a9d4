// Package deploy holds what an installation is set up with.
package deploy

import "embed"

// Files are alerts for Prometheus and a dashboard for Grafana, units for systemd, and the configuration of a NATS server.
//
//go:embed prometheus grafana systemd/*.service nats
var Files embed.FS
