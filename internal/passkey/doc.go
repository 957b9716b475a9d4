// Package passkey checks that a person's own passkey has signed an approval (WebAuthn), and keeps which passkeys there are.
//
// A [Passkey] is registered in the console by somebody who is signed in, and stands in a [Registry], a bucket of the NATS
// server. What stands there approves nothing by itself: whoever can write to the bucket could put their own there. A worker
// trusts the passkeys in a file of its own alone ([Trusted]), and of those only the ones that the registry has still.
//
// All that is checked is one signature, by a public key in the form that crypto/x509 reads and browsers give
// (getPublicKey); nothing is believed about the device that made it (attestation). So no CBOR is read here, and no library
// for it is needed.
//
// Where to start reading: assertion.go (what is checked), passkey.go (what one is), registration.go (how one comes to be),
// registry.go (those that there are), trusted.go (those that a worker trusts).
package passkey
