// Package prove checks how a plan fails before it runs: from the plan and the policies of its tools alone, it computes the
// worst case that the core allows, and finds the ways on which a run would not end as it should.
//
// It is pure: documents and a time go in, a [Report] comes out. The rules of the core are not written down a second time;
// what a retry policy allows comes from [belay/internal/steps.RetryPolicy], and a test lets hostile workers play against
// the core itself: they never exceed what is computed, and they reach it.
package prove
