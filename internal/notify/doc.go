// Package notify tells people that something waits for them: by chat, mail or webhook, with a link to the card. Nothing
// can be decided from a notice itself, since programs that scan links would decide.
//
// It has three parts that know nothing of one another, and the caller owns the loop between them:
//
//	setup, err := notify.Load("notify.yaml", os.Getenv)           // who there is: tiers and channels
//	sender := notify.NewSender(setup.Channels, reports, logger) // how it gets there: retries, a queue per channel, the next channel
//	due := setup.Policy.Look(items, sent, now)                    // who is told what, now; pure
//	for _, n := range due.Notices {
//		sender.Send(n)
//		store(n.Told) // what the next Look takes as sent
//	}
//	drop(due.Forget)
//	wake(due.Next) // and look again at that time, or whenever an item changed
//
// Where to start reading: policy.go (the round of one look), group.go (what a tier is told of one group of items, the
// rules themselves), storm.go (how many notices a minute), flight.go (a notice on its way), letter.go (what people read), channel.go (what a sender owes).
package notify
