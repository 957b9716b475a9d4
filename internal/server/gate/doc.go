// Package gate stands in front of the pages and the API: it refuses requests for other hosts and from other sites, finds out
// who asks, and sets the headers that every answer has. It decides nothing about rights: [people.Actor.May] does.
//
// Where to start reading: gate.go (who gets in), login.go (tokens and cookies of browsers), provider.go (OpenID Connect),
// local.go (`dispatcher dev`), tries.go (wrong tokens), waits.go (how many may wait), problem.go (errors as RFC 9457 documents, also the API's).
package gate
