// Package belaytype holds the data that programs get from Belay: runs, escalations, events, and the closed sets of words
// in them. Their JSON is what the commands print with `-o json` and what the HTTP API returns, so that a program can read
// either into these types. The package has no logic.
package belaytype
