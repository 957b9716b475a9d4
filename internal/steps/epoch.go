package steps

// Epoch is the newest version of the core's rules. A run is always folded by the rules that it was submitted under, on
// every machine, so that a log that was folded one way is never folded another way:
//
//	1  everything before epochs were written down
//	2  an attempt is over only once nobody can begin it any more; a worker's stricter policy counts; a rejection sticks to
//	   its call; waits that the other side names are bounded; a fault that the same call would bring again is not
//	   retried; a person's name may be written in several ways
//	3  a decision about an unknown outcome is final, and an outcome that comes later changes nothing; an attempt that may
//	   have happened is not forgotten when the run ends while its probe is deferred or with a person; a step that people
//	   are asked about in a later round is shown as held or escalated, not as unknown
//	4  no two attempts have one name, also where an outcome that was in doubt sends a step on to a rung that it was on
//	   before; of several attempts that may have happened, each is settled before anything is repeated
//	5  a worker that has claimed an attempt says what became of it also after another one has reported that it may have
//	   happened, and only it says that nothing did; an attempt whose name the log has used up before the run came to it gets another one
//	6  an attempt whose worker nobody hears of may still be executed until its time is up: a probe waits until then, and a
//	   retry that a person decides before asks the probe, or people, once more; where nobody has decided about a compensation
//	   in time, it is asked again instead of leaving what was done as it is, and a compensation that may have happened is
//	   probed like any other call
//	7  what a tool says undoes its calls is done: those of steps without a compensation of their own, and those of agents;
//	   the first turns of an agent may be summarised, and long results cut for its model; people may take turns of an agent back;
//	   an attempt can leave on the log with what another one goes on, which then begins nothing anew, and what the other side of
//	   a call asks is asked of a person, whose answer goes back to it; what a damaged log may have forgotten is not done once more.
//	   What a closed gate holds back waits, and so do its budget and the run's clock; that is also so in runs of older epochs from
//	   2 on, whose logs had nothing of it; what a limit holds back is still wanted, and its time passes; what a breaker keeps back
//	   goes on on its next rung, and waits where there is none; what has failed on a rung still counts after a probe. A run may be
//	   submitted for a time to come, and begins then; an approval names the idempotency key of its call, and may have to come with a passkey's signature; what a replay has taken over
//	   is not undone by it; a report that nobody can read ends the attempt that it names, where only workers of the attempt's tool can have written it,
//	   and workers say nothing that came with a later epoch
//
// A log that needs newer rules is not folded at all: its run waits until the program is upgraded.
const Epoch = 7

// epochOf is the epoch of a submission; the first ones did not name it.
func epochOf(e Submitted) int { return max(1, e.Epoch) }

// since reports whether the run is folded by the rules of this epoch or newer ones.
func (s *State) since(epoch int) bool { return s.epoch >= epoch }
