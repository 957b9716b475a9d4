package cli

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

	"belay/internal/handoff"
	"belay/internal/steps"
)

func (a *app) escDrain() *cobra.Command {
	var f itemFilter
	c := &cobra.Command{
		Use: "drain", Short: "Decide one after the other: each is shown and claimed, and a line decides it",
		Long: "Shows what waits for a person one by one, the most urgent first, and claims it meanwhile. Then it takes lines:\n\n" + drainHelp +
			"\nLines may come from a file too. What is left undecided is released again.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.drain(c.Context(), f) },
	}
	f.add(c.Flags())
	return c
}

const drainHelp = `  approve | reject | retry | skip | verify | abort [WHY]   what the card offers; the beginning of the word will do
  set PATH=VALUE        a changed parameter; then: edit [WHY]
  answer VALUE          one of the answers, or its number, or JSON; a reason is asked for where it needs one
  note TEXT             a word to whoever comes next
  snooze 30m            nobody is told of it for a while
  show                  the card again
  next (or Enter)       leave it to others, and go on
  quit                  leave it to others, and end
`

func (a *app) drain(ctx context.Context, f itemFilter) error {
	if a.json() {
		return usage("drain is for people; programs use `esc ls`, `esc show` and `esc decide` with -o json")
	}
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	if s.embedded {
		return usage("drain needs a server where the runs go on: start `dispatcher dev`, or name one with --server")
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

// drainer goes through the open items.
type drainer struct {
	*app
	s       *session
	lines   <-chan string
	seen    map[string]bool
	decided int
}

// end says how it went.
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

// linesOf reads lines in the background, so that an interrupt is heard while nobody types.
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

// ask prompts for a line; ok is false at the end of them.
func (d *drainer) ask(ctx context.Context, prompt string) (line string, ok bool) {
	fmt.Fprint(d.Err, prompt)
	select {
	case line, ok = <-d.lines:
		return line, ok
	case <-ctx.Done():
		return "", false
	}
}

// pick is the most urgent item that was not shown yet, and how many there are with it.
func (d *drainer) pick(ctx context.Context, f itemFilter) (*handoff.Item, int, error) {
	items, err := d.s.desk().Items(ctx)
	if err != nil {
		return nil, 0, err
	}
	rest := slices.DeleteFunc(items, func(it handoff.Item) bool {
		return d.seen[it.ID] || !f.picks(it) || it.Snoozed.After(time.Now())
	})
	if len(rest) == 0 {
		return nil, 0, nil
	}
	return &rest[0], len(rest), nil
}

// one shows an item and does what is typed, until it is decided or left; goesOn is false when that was the end.
func (d *drainer) one(ctx context.Context, id string, left int) (goesOn bool, err error) {
	d.seen[id] = true
	_, err = d.act(ctx, id, handoff.Act{Verb: handoff.ActClaim})
	switch {
	case errors.Is(err, handoff.ErrClaimed), errors.Is(err, handoff.ErrDecidedBefore), errors.Is(err, handoff.ErrNoEscalation):
		fmt.Fprintf(d.Out, "%s\n", plain(err.Error()))
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

func (d *drainer) act(ctx context.Context, id string, what handoff.Act) (handoff.Done, error) {
	return d.s.People.Act(ctx, d.person(), id, what)
}

// drained is the item that is shown.
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

// release lets others have it; an interrupt does not keep it from that.
func (i *drained) release() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = i.act(ctx, i.id, handoff.Act{Verb: handoff.ActRelease}) // its lease runs out in any case
}

// do carries a line out; gone is true when the item is decided or left to others. What goes wrong is said, and the item
// stays.
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
		return i.told(i.act(ctx, i.id, handoff.Act{Verb: handoff.ActNote, Text: rest}))
	case "snooze":
		return i.snooze(ctx, rest)
	}
	o, err := i.offer(word)
	if err != nil {
		return i.failed(err)
	}
	return i.decide(ctx, o, rest)
}

// failed says what went wrong; the item stays.
func (i *drained) failed(err error) bool {
	if err != nil {
		fmt.Fprintf(i.Out, "%s\n", plain(err.Error()))
	}
	return false
}

// told says what was done; the item stays.
func (i *drained) told(done handoff.Done, err error) bool {
	if err == nil {
		fmt.Fprintf(i.Out, "%s\n", plain(done.Effect))
	}
	return i.failed(err)
}

func (i *drained) snooze(ctx context.Context, text string) (gone bool) {
	wait, err := time.ParseDuration(text)
	if err != nil {
		return i.failed(fmt.Errorf("snooze takes a time, like 30m or 2h: %w", err))
	}
	done, err := i.act(ctx, i.id, handoff.Act{Verb: handoff.ActSnooze, Until: time.Now().Add(wait)})
	i.told(done, err)
	if err != nil {
		return false
	}
	i.release()
	return true
}

// offer is the decision that a word means: one of those that the card offers.
func (i *drained) offer(word string) (steps.Offer, error) {
	var fits []steps.Offer
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
	return steps.Offer{}, fmt.Errorf("%q means nothing here; possible are %s, and set, note, snooze, show, next, quit (`help` says more)", word, strings.Join(all, ", "))
}

func (i *drained) decide(ctx context.Context, o steps.Offer, rest string) (gone bool) {
	act := handoff.Act{Verb: handoff.Action(o.Verb), Reason: rest, Revision: i.card.Dossier.Revision}
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
		if yes, _ := i.ask(ctx, fmt.Sprintf("%s: %s. Sure? [y/N] ", o.Verb, plain(o.Effect))); !strings.EqualFold(yes, "y") {
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

// params are the parameters with what was set.
func (i *drained) params() (json.RawMessage, error) {
	if len(i.sets) == 0 {
		return nil, errors.New("say first what is to be different: set PATH=VALUE")
	}
	params, schema := i.card.RawParams()
	return handoff.ApplySet(params, schema, i.sets...)
}

// preview shows what an edit would run; what does not fit is forgotten.
func (i *drained) preview() error {
	if !slices.ContainsFunc(i.card.Dossier.Offers, func(o steps.Offer) bool { return o.Verb == steps.VerbEdit }) {
		i.sets = nil
		return errors.New("edit is not possible here")
	}
	params, err := i.params()
	if err != nil {
		i.sets = i.sets[:len(i.sets)-1]
		return err
	}
	fmt.Fprintf(i.Out, "params    %s\nedit [WHY] runs it so\n", plain(string(params)))
	return nil
}

// answer is one of the answers that were offered, by its number or its words, or JSON.
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
		return nil, errors.New(`answer takes JSON (a text needs its quotes: "...")`)
	}
	return json.RawMessage(text), nil
}
