package steps

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Summary has a model summarise what an agent is not shown in full any more, where it would only be left out otherwise.
type Summary struct {
	Model           string          `json:"model"`                  // the tool that is asked
	Instructions    json.RawMessage `json:"instructions,omitempty"` // template of what it is to mind, a string; none: [DefaultSummary]
	MaxOutputTokens int             `json:"max_output_tokens"`      // of one summary
}

// SummaryNode is a [Summary] with its expressions compiled.
type SummaryNode struct {
	*Summary
	Tool         *Tool // its pinned policy
	Instructions Expr  // gives a string; nil = the default
}

// DefaultSummaryTokens is the default of [Summary.MaxOutputTokens].
const DefaultSummaryTokens = 2000

// summary is what an agent's model reads in place of its first turns. Each is made of the one before it and of the turns since
// then, so that the thousandth turn costs what the tenth did.
type summary struct {
	unit    int     // that asks for it
	made    int     // turns that had begun
	from    int     // the first turn that it is made of, from 0
	upto    int     // turns, from the first one on, that are not shown in full from then on
	before  mark    // the summary that it is made of
	missing int     // turns that are in no summary, this one and those before it
	hold    reserve // for each try
	broken  bool    // the agent has reached a limit meanwhile: it is made once more when it goes on
}

// summaryText is what is told whoever makes a summary.
func (c *change) summaryText(i int) (string, error) {
	if n := c.Program.Nodes[i].Agent; n.Summary != nil {
		return c.text(i, n.Summary.Instructions)
	}
	return "", nil
}

// stands reports whether a summary says what its model is shown: also one that has failed does.
func (l *loop) stands(m *summary) bool { return !m.broken && l.turns[m.upto-1].back == 0 }

// past is what of its first turns an agent's model is shown otherwise than in full.
type past struct {
	upto int  // turns, from the first one on
	read mark // the summary that it reads of them; none: they are left out
}

// past is what the model of agent i is not shown in full when it is asked after so many turns.
func (s *State) past(i, turns int) (p past) {
	n, l := s.Program.Nodes[s.Units[i].Node].Agent, s.Units[i].loop
	if n.Summary == nil {
		if list := l.shown(0, turns); n.KeepTurns > 0 && len(list) > n.KeepTurns {
			p.upto = list[len(list)-n.KeepTurns]
		}
		return p
	}
	for k := range l.summaries {
		m := &l.summaries[k]
		if m.made > turns || !l.stands(m) {
			continue
		}
		p.upto = m.upto
		if s.summed(m) != "" {
			p.read = markOf(k)
		}
	}
	return p
}

// summed is what a summary says: the text of a model or, where it comes from something else, all that it gave. Empty: there is none.
func (s *State) summed(m *summary) string {
	u := &s.Units[m.unit]
	if u.phase != PhaseSucceeded {
		return ""
	}
	var said struct {
		Text *string `json:"text"`
	}
	if json.Unmarshal(u.Output, &said) == nil && said.Text != nil {
		return strings.TrimSpace(*said.Text)
	}
	if text := plain(u.Output); text != "null" && text != "{}" {
		return strings.TrimSpace(text)
	}
	return ""
}

// summaryDue is the summary that agent i needs before its model is asked again: once twice as many turns are shown in full
// as it is to keep. One that has failed is not made again before as many turns have passed.
func (s *State) summaryDue(i int) (m summary, due bool) {
	n, l := s.Program.Nodes[s.Units[i].Node].Agent, s.Units[i].loop
	turns := len(l.turns)
	if n.Summary == nil || l.last || turns-l.tried() < n.KeepTurns {
		return m, false
	}
	was := s.past(i, turns)
	full := l.shown(was.upto, turns)
	if len(full) < 2*n.KeepTurns {
		return m, false
	}
	m = summary{made: turns, upto: full[len(full)-n.KeepTurns-1] + 1, before: was.read}
	if k := was.read.index(); k >= 0 {
		m.from, m.missing = l.summaries[k].upto, l.summaries[k].missing
	}
	if all := l.shown(m.from, m.upto); len(all) > 2*n.KeepTurns { // others have failed: of what is long ago nothing is said
		m.from = all[len(all)-2*n.KeepTurns]
		m.missing += len(all) - 2*n.KeepTurns
	}
	return m, true
}

// summing reports whether a summary is being made: the model is asked again once that is over.
func (s *State) summing(l *loop) bool {
	n := len(l.summaries)
	return n > 0 && !s.Units[l.summaries[n-1].unit].Over()
}

// tried is how many turns had begun when a summary was asked for last.
func (l *loop) tried() int {
	for k := len(l.summaries) - 1; k >= 0; k-- {
		if !l.summaries[k].broken {
			return l.summaries[k].made
		}
	}
	return 0
}

// summarise asks for summary m of agent i, if its limits allow it. The turn for which `turn` was reserved is the last one that
// has begun.
func (c *change) summarise(i int, m summary, turn reserve) {
	l := c.Units[i].loop
	m.hold = c.estimateSummary(i, &m)
	if c.tooDear(i, m.hold) {
		_, spent := c.agentSpent(i)
		c.atLimit(i, fmt.Sprintf("the agent has spent %s of %s, and a summary of its turns may cost %s", spent, c.limits(i).USD, m.hold.cost))
		return
	}
	l.hold = turn
	n := len(l.summaries) + 1
	m.unit = c.sub(i, agentSummary, summaryID(c.Units[i].ID, n), int32(n))
	l.summaries = append(l.summaries, m)
	u := &c.Units[m.unit]
	u.Params, u.tainted, u.stranger = noParams, c.Units[i].tainted, c.Units[i].stranger
	c.firstTry(m.unit)
}

// summaryEnded asks the model of agent i again: with the summary of unit u or, where there is none, told that there is none.
func (c *change) summaryEnded(i, u int) {
	if c.ending != "" || c.Units[i].Over() {
		return
	}
	if c.Units[u].phase == PhaseSucceeded {
		c.Units[i].tainted = c.Units[i].tainted || c.Units[u].tainted
		c.warn(i, c.Units[u].stranger)
	}
	c.nextTurn(i)
}

// breakOff notes that agent i has reached a limit while unit u made a summary.
func (c *change) breakOff(i, u int) {
	l := c.Units[i].loop
	l.summaries[c.Units[u].origin.item-1].broken = true
	l.hold = c.estimate(i)
}

func summaryID(agent string, n int) string { return agent + "~s" + strconv.Itoa(n) }

// IsSummary reports whether a unit's id is that of a summary of an agent's turns.
func IsSummary(id string) bool {
	_, rest, _ := strings.Cut(id, "~")
	number, is := strings.CutPrefix(rest, "s")
	_, ok := Number(number)
	return is && ok
}

// findSummary is the unit of a summary, `3`; -1 where there is none.
func (l *loop) findSummary(name string) int {
	n, ok := Number(name)
	if !ok || n < 1 || n > len(l.summaries) {
		return -1
	}
	return l.summaries[n-1].unit
}
