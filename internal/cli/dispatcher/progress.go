package dispatcher

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"belay/internal/cli"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/text"
)

// progress prints a line for each step of a run that moves: with its rung, try, wait and cause.
type progress struct {
	w        io.Writer
	paint    bool
	id       string
	began    bool
	said     map[string]string // by unit: the last line, so that no line is printed twice
	turns    map[string]bool   // turns of agents that were printed
	written  map[int]int       // by agent: how many messages of people were printed
	attempts map[string]int    // by unit: how many ended attempts were printed
	open     map[string]bool   // escalations that were printed when they opened
	over     map[string]bool   // escalations that were printed when they closed

	look, decide string                        // the commands that show and decide an escalation
	flags        string                        // that those commands need to find the same store
	queue        *queued                       // what waits for a worker
	waits        func(view.Foresight) view.Why // what a run waits for, also where its log does not say it; nil = what the log says
	print        sync.Mutex                    // lines come from the log, and from watchServed
}

func (a *app) newProgress(id string) *progress {
	p := &progress{w: a.Out, paint: a.Colored(a.Out), id: id, said: map[string]string{}, turns: map[string]bool{}, written: map[int]int{}, attempts: map[string]int{}, open: map[string]bool{}, over: map[string]bool{}, queue: newQueued()}
	if a.JSON() {
		p.w, p.paint = a.Err, a.Colored(a.Err)
	}
	p.look, p.decide, p.flags = a.Named("dispatcher esc show "), a.Named("dispatcher esc decide "), a.Flags()
	return p
}

// record prints what one record of the log has changed.
func (p *progress) record(s *steps.State, touched []int) {
	p.print.Lock()
	defer p.print.Unlock()
	if !p.began {
		p.began = true
		fmt.Fprintf(p.w, "run %s  %s\n", s.Run, s.Program.Plan.Name)
	}
	for _, i := range touched {
		if i != steps.RunUnit {
			p.unit(s, i)
			p.queue.note(s, i)
		}
	}
	for n := range s.Escalations {
		p.escalation(s, n)
	}
}

// say prints a line about something that is not in the log.
func (p *progress) say(line string) {
	p.print.Lock()
	defer p.print.Unlock()
	fmt.Fprintln(p.w, line)
}

func (p *progress) unit(s *steps.State, i int) {
	u := &s.Units[i]
	for n := p.attempts[u.ID]; n < len(u.Attempts); n++ {
		rec := &u.Attempts[n]
		if rec.Ended.IsZero() {
			break
		}
		p.attempts[u.ID] = n + 1
		p.line(s, i, p.ended(s, i, rec))
	}
	p.turn(s, i)
	p.summary(s, i)
	p.notes(s, i)
	if line := p.standing(s, i); line != "" && p.said[u.ID] != line {
		p.said[u.ID] = line
		p.line(s, i, line)
	}
}

// standing is a line about the state of a unit; empty if the lines of its attempts say enough.
func (p *progress) standing(s *steps.State, i int) string {
	u := &s.Units[i]
	switch {
	case u.State() == steps.StepRunning && len(u.Attempts) > 0:
		rec := &u.Attempts[len(u.Attempts)-1]
		return p.mark("▸", "36") + " " + p.rung(s, i, rec) + " running on " + byName(rec.Worker) + text.Line(note(rec.Note))
	case u.State() == steps.StepSkipped && u.Fault == nil:
		return p.mark("–", "90") + " skipped"
	case u.State() == steps.StepSkipped:
		return p.mark("–", "33") + " skipped: " + text.Line(u.Fault.Error())
	case u.ResultOf() >= 0:
		return p.mark("✓", "32") + " not made again: the result of " + forPeople(s.Units[u.ResultOf()].ID)
	case u.State() == steps.StepSucceeded && u.AnswerBy != "":
		return p.mark("✓", "32") + " answered by " + text.Line(u.AnswerBy)
	case u.State() == steps.StepFailed && u.IsCall() && len(u.Attempts) == 0 && u.Fault != nil:
		line := p.mark("✗", "33") + " " + text.Cut(text.Line(u.Fault.Error()), maxSaid)
		if !s.TakenBack(i) {
			line += p.dim("  the agent is told")
		}
		return line
	case u.State() == steps.StepSucceeded && len(u.Attempts) == 0:
		return p.mark("✓", "32") + " " + done(s, i)
	case u.State() == steps.StepCancelled:
		return p.mark("–", "90") + " cancelled"
	}
	return ""
}

// byName is the name of a worker without the token of its claim.
func byName(worker string) string {
	name, _, _ := strings.Cut(worker, "#")
	return name
}

func done(s *steps.State, i int) string {
	if a, ok := view.AgentOf(s, i); ok {
		return "answered: " + a.Spent()
	}
	if n := len(s.Items(i)); n > 0 {
		return fmt.Sprintf("all %d items", n)
	}
	if s.Program.Nodes[s.Units[i].Node].ForEach != nil && string(s.Units[i].Output) == "[]" {
		return "no items"
	}
	return "done before"
}

func note(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

// ended is the line for an ended attempt: how it ended, and what comes next.
func (p *progress) ended(s *steps.State, i int, rec *steps.AttemptRecord) string {
	u := &s.Units[i]
	where := p.rung(s, i, rec)
	if rec.State == steps.AttemptSucceeded {
		line := p.mark("✓", "32") + " " + where + " " + took(rec)
		if u.Degraded != nil {
			line += p.dim("  degraded: " + text.Line(u.Degraded.Cause))
		}
		return line
	}
	if rec.State == steps.AttemptWithdrawn && rec.Fault == nil && rec.Note != "" {
		return p.mark("‖", "33") + " " + where + " " + text.Line(rec.Note)
	}
	if rec.State == steps.AttemptReturned {
		return p.mark("↩", "33") + " " + where + " " + text.Line(rec.Note)
	}
	line := where
	if rec.Fault != nil {
		line += " " + text.Line(rec.Fault.Error())
	}
	switch {
	case rec.Crashes == 1:
		line += " (started again once)"
	case rec.Crashes > 1:
		line += fmt.Sprintf(" (started again %d times)", rec.Crashes)
	}
	next, mark, color := p.next(s, i, rec)
	return p.mark(mark, color) + " " + line + p.dim("  "+next)
}

// next says what follows a failed attempt.
func (p *progress) next(s *steps.State, i int, rec *steps.AttemptRecord) (text, mark, color string) {
	kind, last := view.SequelOf(s, i, rec)
	switch kind {
	case view.SequelRetry:
		return "retried in " + wait(last.Wait), "↻", "33"
	case view.SequelRung:
		return "next rung: " + s.Tool(i).Rung(last.Rung).Name, "↘", "33"
	case view.SequelProbe:
		return "the probe checks whether it happened", "?", "33"
	case view.SequelPerson:
		return "a person decides", "!", "31"
	case view.SequelModel:
		return "the agent's model is told", "✗", "33"
	case view.SequelFail:
		return "the run fails", "✗", "31"
	}
	return string(s.Units[i].State()), "✗", "31"
}

func wait(d steps.Duration) string { return time.Duration(d).Round(10 * time.Millisecond).String() }

func took(rec *steps.AttemptRecord) string {
	d := time.Duration(rec.Took)
	if d >= time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

func (p *progress) rung(s *steps.State, i int, rec *steps.AttemptRecord) string {
	t := s.Tool(i)
	text := t.Name + "/" + t.Rung(rec.Rung).Name
	if rec.Try > 1 {
		text += fmt.Sprintf(" try %d", rec.Try)
	}
	if rec.Round > 0 {
		text += fmt.Sprintf(" round %d", rec.Round)
	}
	return text
}

// line prints a line of unit i: the mark, the step, the text and the time since the run began.
func (p *progress) line(s *steps.State, i int, text string) {
	mark, rest, _ := strings.Cut(text, " ")
	at := s.Lasted().Round(10 * time.Millisecond)
	fmt.Fprintf(p.w, "  %s %-14s %s%s\n", mark, forPeople(s.Units[i].ID), rest, p.dim("  +"+at.String()))
}

// forPeople writes the id of a unit for people: step[item], undo step and, of an agent, step t3, step t3.1 and step s1.
func forPeople(id string) string {
	base, rest, ok := strings.Cut(id, "~")
	if !ok {
		return id
	}
	item, undo := strings.CutSuffix("~"+rest, "~undo")
	if strings.HasPrefix(item, "~t") || strings.HasPrefix(item, "~s") {
		base += " " + strings.TrimPrefix(item, "~")
	} else if item != "" {
		base += "[" + strings.TrimPrefix(item, "~") + "]"
	}
	if undo {
		return "undo " + base
	}
	return base
}

func (p *progress) escalation(s *steps.State, n int) {
	if st := s.Escalations[n].State; st != steps.EscalationOpen {
		p.decided(s, n, st)
		return
	}
	e := view.EscalationOf(s, n)
	if p.open[e.ID] {
		return
	}
	p.open[e.ID] = true
	if e.State != steps.EscalationOpen || p.saidByAttempt(s, n) {
		return
	}
	what := "the run"
	if e.Step != "" {
		what = forPeople(e.Step)
	}
	fmt.Fprintf(p.w, "  %s %-14s %s, a person is asked: %s\n", p.mark("!", "31"), what, e.Kind, text.Line(e.Message))
}

// decided prints once what became of an escalation that was printed.
func (p *progress) decided(s *steps.State, n int, st steps.EscalationState) {
	e := &s.Escalations[n]
	if !p.open[e.ID] || p.over[e.ID] {
		return
	}
	p.over[e.ID] = true
	what := "the run"
	if e.Unit != steps.RunUnit {
		what = forPeople(s.Units[e.Unit].ID)
	}
	switch {
	case st == steps.EscalationExpired:
		fmt.Fprintf(p.w, "  %s %-14s nobody decided in time\n", p.mark("!", "33"), what)
	case st == steps.EscalationDecided && e.Decision.Verb != steps.VerbAnswer: // an answer is printed as the result of its step
		fmt.Fprintf(p.w, "  %s %-14s %s by %s%s\n", p.mark("•", "36"), what, e.Decision.Verb, text.Line(e.Decision.By), text.Line(note(e.Decision.Reason)))
	}
}

// saidByAttempt reports whether the line of a failed attempt has already said why a person is asked.
func (p *progress) saidByAttempt(s *steps.State, n int) bool {
	e := &s.Escalations[n]
	if e.Unit == steps.RunUnit {
		return false
	}
	attempts := s.Units[e.Unit].Attempts
	return len(attempts) > 0 && attempts[len(attempts)-1].Fault != nil
}

// end prints how the run ended, or which decisions it waits for.
func (p *progress) end(s *steps.State, doc view.Document) {
	switch {
	case doc.State == steps.RunScheduled:
		fmt.Fprintf(p.w, "run %s %s\n", short(p.id), view.ScheduledFor(doc.ScheduledFor, cli.Now()))
		return
	case doc.State == steps.RunWaiting:
		p.stricter(doc)
		p.spent(doc)
		p.waiting(s)
		return
	case doc.Reason != "":
		fmt.Fprintf(p.w, "run %s %s after %s: %s\n", short(p.id), p.state(doc.State), since(s), text.Line(doc.Reason))
	default:
		fmt.Fprintf(p.w, "run %s %s after %s\n", short(p.id), p.state(doc.State), since(s))
	}
	for _, d := range doc.Degraded {
		age := ""
		if d.Age > 0 {
			age = ", " + time.Duration(d.Age).Round(time.Second).String() + " old"
		}
		fmt.Fprintf(p.w, "  degraded: %s from rung %s%s (%s)\n", forPeople(d.Step), d.Rung, age, text.Line(d.Cause))
	}
	p.stricter(doc)
	p.spent(doc)
	if doc.State == steps.RunFailed {
		p.evidence(doc)
	}
	if string(doc.Output) != "null" {
		fmt.Fprintf(p.w, "%s\n", text.JSON(string(doc.Output)))
	}
}

// stricter prints where workers' tools files were stricter than the submitted one.
func (p *progress) stricter(doc view.Document) {
	for _, d := range doc.Stricter {
		fmt.Fprintf(p.w, "  %s: %s\n", d.Tool, text.Line(d.Text()))
	}
}

// spent prints what the run's models took.
func (p *progress) spent(doc view.Document) {
	if words := doc.Spent.Words(); words != "" {
		fmt.Fprintf(p.w, "  models: %s\n", words)
	}
}

// evidence prints the last output of the tools of failed steps.
func (p *progress) evidence(doc view.Document) {
	for _, s := range doc.Steps {
		if s.State != steps.StepFailed || len(s.Attempts) == 0 {
			continue
		}
		if detail := strings.TrimSpace(s.Attempts[len(s.Attempts)-1].Detail); detail != "" {
			fmt.Fprintf(p.w, "  %s: %s\n", forPeople(s.ID), text.CutMiddle(text.Line(detail), 200))
		}
	}
}

func since(s *steps.State) string {
	return s.Lasted().Round(10 * time.Millisecond).String()
}

func (p *progress) waiting(s *steps.State) {
	p.waitsBehind(p.why(s))
	if len(openOf(s)) == 0 {
		return
	}
	fmt.Fprintf(p.w, "run %s waits for a person:\n", short(p.id))
	for n := range s.Escalations {
		e := view.EscalationOf(s, n)
		if e.State != steps.EscalationOpen {
			continue
		}
		fmt.Fprintf(p.w, "  %s  %s %s: %s\n", e.ID, e.Kind, forPeople(e.Step), text.Line(e.Message))
		if f := s.Escalations[n].Fault; f.Detail != "" {
			fmt.Fprintf(p.w, "    %s\n", text.CutMiddle(text.Line(strings.TrimSpace(f.Detail)), 200))
		}
		fmt.Fprintf(p.w, "    look:    %s%s%s\n", p.look, short(e.ID), p.flags)
		fmt.Fprintf(p.w, "    decide:  %s%s %s%s\n", p.decide, short(e.ID), example(e.Allowed), p.flags)
	}
}

// example lists the allowed verbs with the flags that they need.
func example(verbs []steps.Verb) string {
	var words []string
	for _, v := range verbs {
		switch v {
		case steps.VerbEdit:
			words = append(words, "edit --set path=value")
		case steps.VerbAnswer:
			words = append(words, "answer --answer JSON")
		case steps.VerbReject:
			words = append(words, "reject --reason TEXT")
		case steps.VerbExtend:
			words = append(words, "extend [--set turns=N]")
		default:
			words = append(words, string(v))
		}
	}
	return strings.Join(words, " | ")
}

func (p *progress) state(s steps.RunState) string {
	color := map[steps.RunState]string{steps.RunSucceeded: "32", steps.RunDegraded: "33"}[s]
	if color == "" {
		color = "31"
	}
	return p.mark(string(s), color)
}

func (p *progress) mark(s, color string) string {
	if !p.paint {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func (p *progress) dim(s string) string {
	if !p.paint {
		return s
	}
	return "\x1b[2m" + s + "\x1b[0m"
}

// short is the end of an id that is a UUIDv7: it begins with the time, so its end tells runs apart. An escalation keeps
// its number.
func short(id string) string {
	const show = 6
	tail := ""
	if base, n, ok := cutLast(id, "-"); ok && len(n) <= 3 && len(base) == 36 {
		id, tail = base, "-"+n
	}
	if len(id) != 36 {
		return id + tail
	}
	return id[len(id)-show:] + tail
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
