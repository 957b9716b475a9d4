package steps

import (
	"slices"
)

// What the run of a migration begins with.

// carried is what is taken over of unit i.
func (m *migrating) carried(i int) Carried {
	u := &m.old.Units[i]
	k := Carried{
		Step: u.ID, State: u.State(), Rung: u.Rung, Params: m.old.carriedParams(i), Output: u.Output, Degraded: carriedLabel(m.old, i), Tainted: u.tainted,
		Untrusted: u.stranger, From: m.old.carried[u.ID].From, AnswerBy: u.AnswerBy, Rejected: u.Rejected,
	}
	if j, is := m.Program.index[stepOf(u.ID)]; is && len(u.Attempts) > 0 {
		k.Rung = m.Program.Nodes[j].Tool.rungLike(m.old.RungName(i), u.Rung)
	}
	return k
}

// rungLike is the index of the rung of that name; where there is none, the nearest to index k.
func (t *Tool) rungLike(name string, k int) int {
	if n := slices.IndexFunc(t.Rungs, func(r Rung) bool { return r.Name == name }); n >= 0 {
		return n
	}
	return min(k, len(t.Rungs)-1)
}

// takenOver are all the units that the new run does not do again.
func (m *migrating) takenOver() (list []Carried) {
	for i := range m.old.Units {
		u := &m.old.Units[i]
		_, stays := m.Program.index[stepOf(u.ID)]
		whole := u.origin.kind == planStep && u.State().Done() && !m.old.byItem(i)
		if u.origin.kind == fanItem && u.State().Done() {
			of := int(u.origin.parent)
			whole = !m.old.Units[of].State().Done() || m.old.byItem(of)
		}
		if stays && whole {
			list = append(list, m.carried(i))
		}
	}
	return list
}

// submitted is what the new run is submitted with.
func (m *migrating) submitted() Submitted {
	of := &MigrationOf{Run: m.old.Run, Submitters: m.old.submitters(), Spent: Duration(m.old.clock.at(m.old.Now)), Dropped: m.Drop}
	if m.old.Program.Plan.Deadline > 0 {
		of.More = Duration(m.old.allowed) - m.old.Program.Plan.Deadline
	}
	return Submitted{
		Epoch: Epoch, Program: m.Program, Input: m.Input, Labels: m.old.Labels, ToolsFile: m.old.ToolsFile, Migrates: of,
		KeyRun: m.old.keyRun, Keys: m.old.keyRuns, Carried: m.takenOver(),
	}
}
