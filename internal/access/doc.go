// Package access says who somebody is: by an API token, by the sign-in code of `dispatcher dev`, or by an OpenID Connect provider
// that vouches for them.
//
// Only hashes of tokens are stored, in a bucket of NATS that every dispatcher watches: a token that is revoked opens nothing
// within a moment. What somebody may do is not decided here, see [people.Actor.May]; what they get to see over HTTP neither.
//
// Where to start reading: token.go, then code.go and oidc.go.
package access
