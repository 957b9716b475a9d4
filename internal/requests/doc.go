// Package requests is how a program that may not write logs itself starts runs, cancels, steers, retries, replays and migrates them: it asks a
// dispatcher over NATS, and shows who asks. The dispatcher asks for the same rights as the HTTP API does; [Rights] are those of both.
//
// Where to start reading: request.go (what crosses NATS), do.go (what the dispatcher does), rights.go (who may), ask.go (who asks).
package requests
