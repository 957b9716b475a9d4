// Package borrow lets package inprocess make a public client on the bus of the dispatcher and the worker beside it, so that
// what all three publish is stored with the same syncs to disk. Package belay cannot have an exported function for it: it
// would show the bus to everybody.
package borrow

import "belay/internal/bus"

// Client makes a *belay.Client on a bus that belongs to somebody else. Its Close calls stop and leaves the bus open. Package
// belay sets it.
var Client func(b *bus.Bus, stop func()) any
