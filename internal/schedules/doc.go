// Package schedules keeps what people want run again and again: cron expressions with their zone, what becomes of firings that were
// missed, and of those whose run before is still open. A firing is decided once, by a compare-and-set of the record, and its run has
// an id made of the schedule and the time, so that whoever submits it, and however often, it is one run. Who may, others decide.
package schedules
