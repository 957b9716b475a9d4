// Package runindex knows which runs are kept, in the order of their submission, and what lists are filtered by, so that a
// page of a list costs the same however many runs there are.
//
// An [Index] is made of the logs and can always be made anew: it reads submissions and results as they come, keeps about
// 200 bytes in memory for a run, and notes the same in a file, so that a program that starts need not read all logs. It
// only picks runs; what is shown of them is read from their logs (package runlog). So it may be behind, but never lies
// about a run.
package runindex
