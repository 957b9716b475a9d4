package dispatcher

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/access"
	"belay/internal/approval"
	"belay/internal/cli"
	"belay/internal/gates"
	"belay/internal/handoff"
	"belay/internal/injection"
	"belay/internal/manual"
	"belay/internal/notify"
	"belay/internal/passkey"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/schedules"
	"belay/internal/schema"
	"belay/internal/text"
)

// completeTime bounds what the shell waits for when somebody presses the tab key.
const completeTime = 2 * time.Second

// completions is how the shell completes the arguments of each command that takes any, by its path.
func (a *app) completions() map[string]cobra.CompletionFunc {
	plans, run, esc := cli.Files("yaml", "yml", "json"), a.first(offerRuns), a.first(offerEscalations)
	return map[string]cobra.CompletionFunc{
		"run": plans, "lint": plans, "prove": plans, "drill": plans,
		"runs show": run, "runs why": run, "runs watch": run, "runs steer": run, "runs cancel": run, "runs retry": run, "runs export": run,
		"esc show": esc, "esc claim": esc, "esc release": esc, "esc assign": esc, "esc snooze": esc, "esc note": esc, "esc decide": a.completeDecide,
		"keys revoke": a.first(offerKeys), "keys vouch": a.first(offerKeys), "passkeys rm": a.first(offerPasskeys), "token revoke": a.first(offerTokens), "fault rm": a.first(offerFaults), "gate open": a.first(offerGates), "gate show": a.first(offerGates),
		"schedules add": plans, "schedules show": a.first(offerSchedules), "schedules pause": a.first(offerSchedules), "schedules resume": a.first(offerSchedules), "schedules fire": a.first(offerSchedules), "schedules rm": a.first(offerSchedules),
		"tools call": a.completeTool, "notify test": a.completeChannel,
		"docs": offerPages, "schema": cobra.FixedCompletions(append([]string{"plan", "tools", "settings"}, schema.Kinds()...), cobra.ShellCompDirectiveNoFileComp),
	}
}

// complete lets the shell complete the arguments of all commands below c.
func (a *app) complete(c *cobra.Command) {
	offers := a.completions()
	var walk func(c *cobra.Command, path string)
	walk = func(c *cobra.Command, path string) {
		for _, sub := range c.Commands() {
			at := strings.TrimSpace(path + " " + sub.Name())
			if f := offers[at]; f != nil {
				a.Complete(sub, f)
			} else if !sub.HasSubCommands() {
				a.Complete(sub, cobra.NoFileCompletions)
			}
			walk(sub, at)
		}
	}
	walk(c, "")
}

// offer is one thing that an argument may name.
type offer struct {
	id    string
	about string // for a person who chooses; one line
}

// first completes the first argument by what is there at the server, or in the embedded store.
func (a *app) first(list func(context.Context, *session) ([]offer, error)) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var found []offer
		a.look(c, func(ctx context.Context, s *session) (err error) {
			found, err = list(ctx, s)
			return err
		})
		return pickOffers(found, begun), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// look calls f with a session. A shell that completes has no place for an error: the command itself says it.
func (a *app) look(c *cobra.Command, f func(context.Context, *session) error) {
	ctx, cancel := context.WithTimeout(c.Context(), completeTime)
	defer cancel()
	a.Err, a.LogLevel, a.Conn.Timeout = io.Discard, "error", completeTime
	s, err := a.open(ctx, carry{})
	if err != nil {
		return
	}
	defer s.close()
	_ = f(ctx, s)
}

// pickOffers are those whose id begins as was typed; by the end of it, which lists show and commands take, where nothing but that was typed, or
// nothing yet, and no other has the same end.
func pickOffers(all []offer, begun string) (picked []cobra.Completion) {
	ends := map[string]int{}
	for _, o := range all {
		ends[short(o.id)]++
	}
	for _, o := range all {
		id := o.id
		if end := short(o.id); ends[end] == 1 && strings.HasPrefix(end, begun) {
			id = end
		}
		if strings.HasPrefix(id, begun) {
			picked = append(picked, cobra.CompletionWithDesc(id, text.Line(o.about)))
		}
	}
	return picked
}

// mostOffers bounds how many runs are offered, the newest first.
const mostOffers = 100

func offerRuns(ctx context.Context, s *session) (list []offer, err error) {
	page, err := s.Runs.List(ctx, runlog.Filter{Limit: mostOffers})
	for _, r := range page.Items {
		list = append(list, offer{r.ID, r.Workflow + ", " + string(r.State) + ", " + cli.Ago(r.Started)})
	}
	return list, err
}

func offerGates(ctx context.Context, s *session) (list []offer, err error) {
	all, err := gates.Of(s.Bus).List(ctx)
	for _, p := range all {
		if p.Closed() {
			list = append(list, offer{p.ID, p.Covers.String() + ", closed by " + p.By + " " + cli.Ago(p.Since) + ": " + text.Cut(p.Reason, 60)})
		}
	}
	return list, err
}

func offerSchedules(ctx context.Context, s *session) (list []offer, err error) {
	all, err := schedules.List(ctx, s.Bus, s.Runs, nil)
	for i := range all {
		list = append(list, offer{all[i].Name, all[i].Plan + ", " + all[i].Cron + " " + all[i].TZ + ", next " + nextText(&all[i])})
	}
	return list, err
}

func offerEscalations(ctx context.Context, s *session) (list []offer, err error) {
	items, err := s.desk().Items(ctx)
	for _, it := range items {
		list = append(list, offer{it.ID, string(it.Kind) + " " + it.Workflow + "/" + forPeople(it.Step) + ": " + aboutItem(it)})
	}
	return list, err
}

// aboutItem is what an escalation is about, short enough for a line of a shell.
func aboutItem(it handoff.Item) string {
	if it.Summary != "" {
		return text.Cut(it.Summary, 60)
	}
	return text.Cut(it.Message, 60)
}

// completeDecide completes an escalation, then what it allows.
func (a *app) completeDecide(c *cobra.Command, args []string, begun string) (verbs []cobra.Completion, how cobra.ShellCompDirective) {
	if len(args) != 1 {
		return a.first(offerEscalations)(c, args, begun)
	}
	a.look(c, func(ctx context.Context, s *session) error {
		id, err := s.findEscalation(ctx, args[0])
		if err != nil {
			return err
		}
		items, err := s.desk().Items(ctx)
		for _, it := range items {
			if it.ID != id {
				continue
			}
			for _, v := range it.Allowed {
				verbs = append(verbs, string(v))
			}
		}
		return err
	})
	return verbs, cobra.ShellCompDirectiveNoFileComp
}

func offerKeys(ctx context.Context, s *session) (list []offer, err error) {
	keys, err := approval.NewPublished(s.Bus).List(ctx)
	for _, k := range keys {
		if k.Revoked.IsZero() {
			list = append(list, offer{k.ID, "of " + k.Host + ", " + cli.Ago(k.Made)})
		}
	}
	return list, err
}

func offerPasskeys(ctx context.Context, s *session) (list []offer, err error) {
	keys, err := passkey.NewRegistry(s.Bus).List(ctx)
	for _, k := range keys {
		if k.Removed.IsZero() {
			list = append(list, offer{k.ID, "of " + k.Person + ", " + cli.Ago(k.Made)})
		}
	}
	return list, err
}

func offerTokens(ctx context.Context, s *session) (list []offer, err error) {
	tokens, err := access.OpenTokens(ctx, s.Bus)
	if err != nil {
		return nil, err
	}
	made, err := tokens.List(ctx)
	for _, t := range made {
		list = append(list, offer{t.ID, t.Name + ", " + string(t.Role)})
	}
	return list, err
}

func offerFaults(ctx context.Context, s *session) (list []offer, err error) {
	orders, err := injection.Of(s.Bus).List(ctx)
	for _, o := range orders {
		list = append(list, offer{o.ID, string(o.Class) + " of " + o.Tool})
	}
	return list, err
}

// completeTool completes a tool by the tools file that --tools names.
func (a *app) completeTool(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	file, err := c.Flags().GetString("tools")
	if len(args) > 0 || err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	tools, err := plan.LoadTools(file)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return slices.Sorted(maps.Keys(tools.Tools)), cobra.ShellCompDirectiveNoFileComp
}

// completeChannel completes a channel by the notify file that --file names.
func (a *app) completeChannel(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	file, err := c.Flags().GetString("file")
	if len(args) > 0 || err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	s, err := notify.Load(file, a.Getenv, a.Outbound().Own())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return slices.Sorted(maps.Keys(s.Channels)), cobra.ShellCompDirectiveNoFileComp
}

func offerPages(_ *cobra.Command, args []string, _ string) (pages []cobra.Completion, how cobra.ShellCompDirective) {
	if len(args) == 0 {
		for _, p := range manual.Pages() {
			pages = append(pages, cobra.CompletionWithDesc(p.Name, p.Sentence))
		}
	}
	return pages, cobra.ShellCompDirectiveNoFileComp
}
