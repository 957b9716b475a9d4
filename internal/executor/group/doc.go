// Package group starts programs in process groups of their own and ends them with all that they have started. A process
// that must outlive its group has to leave it (setsid).
package group
