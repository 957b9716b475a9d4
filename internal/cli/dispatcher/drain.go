package dispatcher

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/text"
)

func (a *app) escDrain() *cobra.Command {
	var f itemFilter
	c := &cobra.Command{
		Use: "drain", Short: "Decide escalations one after the other at a prompt",
		Long: "Shows open escalations one by one, the most urgent first, and claims each while you decide. At the prompt, type:\n\n" + drainHelp +
			"\nThe lines may come from a pipe too. An escalation that you do not decide is released.",
		Example: "  dispatcher esc drain --kind approval\n  dispatcher esc drain --mine",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.drain(c.Context(), f) },
	}
	f.add(c.Flags())
	return c
}

const drainHelp = `  approve | reject | retry | skip | verify | abort [WHY]   decide; the first letters of the verb are enough
  set PATH=VALUE        change a parameter; then: edit [WHY]
  answer VALUE          answer with one of the options, its number, or JSON
  note TEXT             leave a note for whoever decides
  snooze 30m            pause its notices, and go on to the next
  show                  show it once more
  next (or Enter)       release it, and go on to the next
  quit                  release it, and exit
`

func (a *app) drain(ctx context.Context, f itemFilter) error {
	if a.JSON() {
		return cli.Usage("drain is for people; in a program use `esc ls`, `esc show` and `esc decide` with -o json")
	}
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	if s.embedded {
		return cli.Usage("drain needs a server on which the runs go on; start `dispatcher dev`, or name one with --server")
	}
	d := &drainer{app: a, s: s, lines: linesOf(a.In), seen: map[string]bool{}}
	for {
		it, left, err := d.pick(ctx, f)
		if err != nil {
			return err
		}
		if it == nil {
			d.end()
			return nil
		}
		goesOn, err := d.one(ctx, it.ID, left)
		if err != nil || !goesOn {
			return err
		}
	}
}

// drainer goes through the open escalations.
type drainer struct {
	*app
	s       *session
	lines   <-chan string
	seen    map[string]bool
	decided int
}

// end prints how many were decided.
func (d *drainer) end() {
	switch left := len(d.seen) - d.decided; {
	case len(d.seen) == 0:
		fmt.Fprintln(d.Out, "Nothing waits for you.")
	case left == 0:
		fmt.Fprintf(d.Out, "That was all: %d decided.\n", d.decided)
	default:
		fmt.Fprintf(d.Out, "That was all: %d decided, %d left to others.\n", d.decided, left)
	}
}

// linesOf reads lines in the background, so that an interrupt takes effect while nobody types.
func linesOf(r io.Reader) <-chan string {
	ch := make(chan string)
	go func() {
		defer close(ch)
		for in := bufio.NewScanner(r); in.Scan(); {
			ch <- strings.TrimSpace(in.Text())
		}
	}()
	return ch
}

// ask prompts for a line; ok is false at the end of the input, or when ctx ends.
func (d *drainer) ask(ctx context.Context, prompt string) (line string, ok bool) {
	fmt.Fprint(d.Err, prompt)
	select {
	case line, ok = <-d.lines:
		return line, ok
	case <-ctx.Done():
		return "", false
	}
}

// pick is the most urgent escalation that was not shown yet, nil for none, and how many are left with it.
func (d *drainer) pick(ctx context.Context, f itemFilter) (*handoff.Item, int, error) {
	items, err := d.s.items(ctx, f)
	if err != nil {
		return nil, 0, err
	}
	rest := slices.DeleteFunc(items, func(it handoff.Item) bool {
		return d.seen[it.ID] || it.Snoozed.After(cli.Now())
	})
	if len(rest) == 0 {
		return nil, 0, nil
	}
	return &rest[0], len(rest), nil
}

// one shows an escalation and does what is typed until it is decided or released; goesOn is false after quit.
func (d *drainer) one(ctx context.Context, id string, left int) (goesOn bool, err error) {
	d.seen[id] = true
	_, err = d.act(ctx, id, people.Act{Verb: people.Claim})
	switch {
	case errors.Is(err, handoff.ErrClaimed), errors.Is(err, handoff.ErrDecidedBefore), errors.Is(err, handoff.ErrNoEscalation):
		fmt.Fprintf(d.Out, "%s\n", text.Line(err.Error()))
		return true, nil
	case err != nil:
		return false, err
	}
	at := &drained{drainer: d, id: id}
	fmt.Fprintf(d.Out, "\n%s\n%d left\n\n", strings.Repeat("─", 60), left)
	if err := at.show(ctx); err != nil {
		return false, err
	}
	for {
		line, ok := d.ask(ctx, "> ")
		if !ok || isQuit(line) {
			at.release()
			return false, context.Cause(ctx)
		}
		if gone := at.do(ctx, line); gone {
			return true, nil
		}
	}
}

func isQuit(line string) bool { return line == "quit" || line == "q" || line == "exit" }

func (d *drainer) act(ctx context.Context, id string, what people.Act) (handoff.Done, error) {
	return d.s.People.Act(ctx, d.person(), id, what)
}

// drained is the escalation that is shown.
type drained struct {
	*drainer
	id   string
	card handoff.Card
	sets []string // parameters that an edit is to change
}

func (i *drained) show(ctx context.Context) (err error) {
	if i.card, err = i.s.desk().Card(ctx, i.id); err != nil {
		return err
	}
	return i.showEscalation(ctx, i.s, i.id)
}

// release gives the claim back, also after an interrupt.
func (i *drained) release() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = i.act(ctx, i.id, people.Act{Verb: people.Release}) // if it fails, the claim expires by itself
}

// do does what a line says; gone is true when the escalation is decided or released. What goes wrong is printed, and
// the escalation stays.
func (i *drained) do(ctx context.Context, line string) (gone bool) {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "", "next":
		i.release()
		return true
	case "show":
		return i.failed(i.show(ctx))
	case "help", "?":
		fmt.Fprint(i.Out, drainHelp)
		return false
	case "set":
		i.sets = append(i.sets, rest)
		return i.failed(i.preview())
	case "note":
		return i.did(i.act(ctx, i.id, people.Act{Verb: people.Note, Text: rest}))
	case "snooze":
		return i.snooze(ctx, rest)
	}
	o, err := i.offer(word)
	if err != nil {
		return i.failed(err)
	}
	return i.decide(ctx, o, rest)
}

// failed prints what went wrong; the escalation stays.
func (i *drained) failed(err error) bool {
	if err != nil {
		fmt.Fprintf(i.Out, "%s\n", text.Line(err.Error()))
	}
	return false
}

// did prints what was done; the escalation stays.
func (i *drained) did(done handoff.Done, err error) bool {
	if err == nil {
		fmt.Fprintf(i.Out, "%s\n", text.Line(done.Effect))
	}
	return i.failed(err)
}

func (i *drained) snooze(ctx context.Context, text string) (gone bool) {
	wait, err := time.ParseDuration(text)
	if err != nil {
		return i.failed(fmt.Errorf("snooze takes a duration like 30m or 2h: %w", err))
	}
	done, err := i.act(ctx, i.id, people.Act{Verb: people.Snooze, Until: cli.Now().Add(wait)})
	i.did(done, err)
	if err != nil {
		return false
	}
	i.release()
	return true
}

// offer is the possible decision that a word, or the beginning of one, means.
func (i *drained) offer(word string) (view.Offer, error) {
	var fits []view.Offer
	var all []string
	for _, o := range i.card.Dossier.Offers {
		all = append(all, string(o.Verb))
		if strings.HasPrefix(string(o.Verb), word) {
			fits = append(fits, o)
		}
	}
	if len(fits) == 1 {
		return fits[0], nil
	}
	return view.Offer{}, fmt.Errorf("%q is not possible here; type %s, set, note, snooze, show, next or quit (`help` explains them)", word, strings.Join(all, ", "))
}

func (i *drained) decide(ctx context.Context, o view.Offer, rest string) (gone bool) {
	act := people.Act{Verb: people.Action(o.Verb), Reason: rest, Revision: i.card.Dossier.Revision}
	var err error
	switch o.Verb {
	case steps.VerbApprove:
		act.Digest = i.card.Dossier.Approval.Digest
	case steps.VerbEdit:
		act.Params, err = i.params()
	case steps.VerbAnswer:
		act.Answer, err = i.answer(rest)
		act.Reason = ""
	}
	if err != nil {
		return i.failed(err)
	}
	if o.NeedsReason && act.Reason == "" {
		act.Reason, _ = i.ask(ctx, "why? ")
	}
	if o.Grave {
		if yes, _ := i.ask(ctx, fmt.Sprintf("%s: %s. Sure? [y/N] ", o.Verb, text.Line(o.Effect))); !strings.EqualFold(yes, "y") {
			return i.failed(errors.New("nothing was decided"))
		}
	}
	done, err := i.act(ctx, i.id, act)
	if errors.Is(err, handoff.ErrDecidedBefore) || errors.Is(err, handoff.ErrApproved) {
		i.failed(err)
		return true
	}
	if err != nil {
		return i.failed(err)
	}
	i.decided++
	fmt.Fprintf(i.Out, "%s: %s\n", short(i.id), came(done))
	return true
}

// params are the parameters with the changes made by set.
func (i *drained) params() (json.RawMessage, error) {
	if len(i.sets) == 0 {
		return nil, errors.New("change a parameter first: set PATH=VALUE")
	}
	params, schema := i.card.RawParams()
	return handoff.ApplySet(params, schema, i.sets...)
}

// preview shows the parameters that edit would use. A change that does not fit is dropped.
func (i *drained) preview() error {
	if !slices.ContainsFunc(i.card.Dossier.Offers, func(o view.Offer) bool { return o.Verb == steps.VerbEdit }) {
		i.sets = nil
		return errors.New("edit is not possible here")
	}
	params, err := i.params()
	if err != nil {
		i.sets = i.sets[:len(i.sets)-1]
		return err
	}
	fmt.Fprintf(i.Out, "params    %s\nexecute it with these: edit [WHY]\n", text.Line(string(params)))
	return nil
}

// answer is one of the options, by its number or its text, or JSON.
func (i *drained) answer(text string) (json.RawMessage, error) {
	if q := i.card.Dossier.Question; q != nil && len(q.Options) > 0 {
		if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= len(q.Options) {
			text = q.Options[n-1]
		}
		if slices.Contains(q.Options, text) {
			return json.Marshal(text)
		}
	}
	if err := steps.CheckDepth(text); err != nil {
		return nil, err
	}
	if !json.Valid([]byte(text)) {
		return nil, errors.New(`answer takes one of the options, or JSON (a text needs quotes: "...")`)
	}
	return json.RawMessage(text), nil
}
