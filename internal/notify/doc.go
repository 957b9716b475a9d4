// Package notify sends notices to people about what is waiting for them: by chat, mail or webhook, with a link to the card.
// Nothing can be decided from a notice itself, because programs that scan links would decide.
//
// [Load] reads a notify file: tiers of people, and the channels that reach them. [Run] is the loop of a dispatcher: it
// watches the open escalations, asks the policy who gets which notice now ([Policy.Look], which is pure), hands that to a
// [Sender] (a queue per channel, retries, the next channel if one fails), and stores in a bucket what arrived.
// [Notified] and [Foresee] read that bucket for whoever shows an escalation.
//
// Where to start reading: loop.go (what happens when), policy.go (one look), group.go (what a tier gets of one group of
// items, the rules themselves), storm.go (how many notices a minute), flight.go (a notice on its way), memory.go (what is
// stored), content.go (what people read), channel.go (what a channel must do).
package notify
