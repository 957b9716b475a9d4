package steps

import (
	"slices"
	"time"
)

// note is what a person has written to an agent.
type note struct {
	id, by, text string
	after        int    // turns that had begun: the model reads it with the next one
	seq          uint64 // of its record
	back         int    // number of the first turn that it takes back; 0 = none
	at           time.Time
}

// words are what the model reads of a note.
func (n note) words() string { return "A message from " + orElse(n.by, "a person") + ": " + n.text }

// onSteered notes what a person writes to an agent, and takes back what they take back. One that is over reads nothing any more.
func (c *change) onSteered(e Steered) {
	i := c.Unit(e.Step)
	if i < 0 || c.MayNotSteer(i) != "" || c.noteOf(i, e.ID) != nil || e.TakeBack != 0 && c.MayNotTakeBack(i, e.TakeBack) != "" {
		return
	}
	l := c.Units[i].loop
	l.notes = append(l.notes, note{id: e.ID, by: e.By, text: e.Text, after: len(l.turns), seq: c.Seq, back: e.TakeBack, at: c.Now})
	c.touch(i)
	if e.TakeBack != 0 {
		c.takeBack(i)
	}
}

// MayNotSteer says why nobody can write to unit i; empty if people can.
func (s *State) MayNotSteer(i int) string {
	u := &s.Units[i]
	switch {
	case s.Program.Nodes[u.Node].Agent == nil || u.ofAgent():
		return u.ID + " is not an agent"
	case s.final != "" || s.ending != "":
		return "the run is over, or ending"
	case u.loop == nil && !u.Over():
		return u.ID + " has not begun"
	case u.Over():
		return u.ID + " has ended"
	case u.loop.last:
		return u.ID + " has been asked for its last answer, and reads nothing after that"
	}
	return ""
}

func (s *State) noteOf(i int, id string) *note {
	l := s.Units[i].loop
	if n := slices.IndexFunc(l.notes, func(n note) bool { return n.id == id }); n >= 0 {
		return &l.notes[n]
	}
	return nil
}

// SteeredIn is the sequence of the record in which unit i was written a message; 0 where it did not take it. Other says that a
// message with its ID and another text, author or turn stands there.
func (s *State) SteeredIn(i int, e Steered) (seq uint64, other bool) {
	if s.Units[i].loop == nil {
		return 0, false
	}
	n := s.noteOf(i, e.ID)
	if n == nil {
		return 0, false
	}
	return n.seq, n.text != e.Text || n.by != e.By || n.back != e.TakeBack
}

// mustRead reports whether agent i is asked once more although its model has answered: somebody wrote to it while it did.
// Where a limit forbids that, and people are not asked about it, the answer counts.
func (c *change) mustRead(i int) bool {
	l := c.Units[i].loop
	unread := len(l.notes) > 0 && l.heard() == len(l.turns)
	return unread && !l.last && (c.Program.Nodes[i].Agent.OnLimit == LimitEscalate || c.limitReached(i) == "")
}

// heard is how many turns had begun when a person wrote last.
func (l *loop) heard() int {
	if len(l.notes) == 0 {
		return 0
	}
	return l.notes[len(l.notes)-1].after
}

// addNotes appends what people wrote while turn k was the last one.
func (s *State) addNotes(list []Message, l *loop, k int) []Message {
	for n := range l.notes {
		if l.notes[n].after == k {
			list = append(list, Message{Role: "user", Text: s.noteText(l, n)})
		}
	}
	return list
}

// noteText is what the model reads of note n.
func (s *State) noteText(l *loop, n int) string {
	if l.notes[n].back != 0 {
		return s.retraction(l, n)
	}
	return l.notes[n].words()
}
