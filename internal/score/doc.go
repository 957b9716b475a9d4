// Package score counts what came of the calls of all runs: per tool and rung, in slots of time, and what they failed with.
//
// A record of a run's log adds [Change]s (change.go, pure). The dispatcher that has a partition adds them to the partition's
// [Book] (book.go), and stores that every few seconds, with the sequence up to which the log is counted in it ([Keeper]). What
// lies behind that sequence is counted from the log by whoever takes the partition over (catchup.go), so that a restart or a
// take-over neither loses nor doubles anything; two that believe to have the partition exclude each other by the revision of
// what is stored. [Read] adds the partitions up: every dispatcher says the same. [Judge] says what is unusual (spike.go,
// pure), and one dispatcher at a time stores that.
//
// What is stored is bounded: see the constants most… in book.go.
package score
