// Package mcptools offers the tools and plans of a server to agents over the Model Context Protocol: every one is a tool
// there, and every call of it is a run, with its retries, ladder, approval and audit.
//
// It decides nothing and has no way of its own to start or to show a run: what a call starts and what a tool shows is a
// request to the HTTP API, made in this process in the name of whoever calls, so that the same rules hold. Where a person
// must decide, an agent gets the address of the page on which people do.
//
// # Which run a call is
//
// Agents call again when a call has taken them too long. So a call is known by who calls, what, and with which parameters
// (one.go): while its run is open, and for a day after its end where its effects are unsafe, the same call is that same
// run. The ids of the runs of one call count up, so that two servers that are asked at once name the same next one, and
// the first submission in its log decides.
//
// # Reading order
//
// server.go (what is offered, over stdio and HTTP), names.go and schema.go (as what), call.go and one.go (a call becomes a
// run), wait.go (until it has ended), result.go (what the agent gets), tasks.go (the same as a task), look.go
// (the tools that only look), ask.go (requests to the API).
package mcptools
