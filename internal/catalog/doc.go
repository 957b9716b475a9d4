// Package catalog has what may be submitted to a server: the tools file whose policies count, and the plans that have a
// name. It reads both at the start and whenever it is told to, finds every mistake with its place, and makes of what
// somebody asks for what a run's log begins with. Callers never bring policies of their own.
package catalog
