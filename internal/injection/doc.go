// Package injection is faults on purpose: what people ask for, where it is kept, which attempts it hits, and what happens
// to those instead of the plain call.
//
// An [Order] says which attempts, what happens to them and until when. [Orders] keeps it in a bucket. An [Injector] is a
// worker's own view of the orders: it picks the one that hits an attempt, and refuses those that its tools file or its
// process does not allow. Nothing of it is known to the core: a fault that was injected is a fault like others, with a
// mark.
//
// Where to start reading: order.go (what an order says), check.go (what is wrong with one), hits.go (which attempts it
// hits), injector.go (which one a worker picks, and what it refuses), around.go (what happens to the call), orders.go
// (where they are kept), item.go (orders in a settings file).
package injection
