// Package view shows what package steps has decided: documents for programs, dossiers for people who decide, and
// sentences for both. It decides nothing and changes nothing; whoever folds the same log is shown the same.
//
//	show.go, asked.go       a run as a document: what `runs show -o json` prints
//	agent.go                an agent: what it was asked, said and did, and what is left of its limits
//	dossier.go, advice.go   an escalation with all that a person needs, and what each decision does
//	reply.go, reply_did.go  what came of an act, told to whoever did it
//	fate.go                 what became of the matter once it was decided
//	why.go                  what a run waits for
//	forecast.go             what will happen if nobody acts
//	sequel.go               what follows a failed attempt
//	summary.go, target.go   one line about what a call does, and what it talks to
//	facts.go, value.go      single values
package view
