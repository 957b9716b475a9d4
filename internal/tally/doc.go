// Package tally knows whether the log is still what it was. For every entry of a partition that is proven stored it keeps
// sixteen bytes, half of them a digest of what the entry says and half of the run that it belongs to, in a file outside the
// store and in a bucket inside it. A [Keeper] notes entries as the dispatcher receives them, compares the stream's end and
// its number of messages with what was noted, and reads everything again in a scrub whose time is stated. What is not there
// any more, or says something else, is a [Damage], with the runs that it is about.
//
// Removals are announced before they are done ([Keeper.Leave]), so that the janitor's work is none.
//
// leaf.go is an entry's sixteen bytes, book.go those of a partition, file.go and shelf.go where they are kept, keeper.go what
// happens every second, check.go what is compared, damage.go what was found.
package tally
