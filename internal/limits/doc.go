// Package limits is what all dispatchers of an installation share about calls that may not begin yet: the times at which calls may
// begin, who has a slot of a limit on calls in hand, and targets that have asked everybody to wait. All are small records in one bucket.
//
// A record of times says when the next call may begin. Whoever has calls to make moves it on by compare-and-set, and owns the
// times in between: no server is asked for each call, nothing is given back, and a dispatcher that dies loses what it had for the
// next moment. A target that has asked to wait is let go in a ramp: the times after that lie apart by a rate that doubles every second.
package limits
