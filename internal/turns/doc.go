// Package turns says who goes next of those that wait: whoever people have decided something about, then what is new, then what is done
// again; within these the tenants by turns, and of a tenant whoever waits longest. It is pure. The queues of rungs, limits, and gates that
// let go in a ramp go by it.
package turns
