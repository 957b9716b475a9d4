package dispatcher

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/passkey"
	"belay/internal/text"
)

func (a *app) passkeysCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "passkeys", Short: "List, export and remove the passkeys that people approve with",
		Long: "People register their passkeys in the console (Passkeys). A tool with `approval: {proof: passkey}` takes no approval without one, and its\n" +
			"workers trust only those in a file of their own (`worker --passkeys FILE`): compare the ids with those that people see on their pages.",
		Example: "  dispatcher passkeys export > passkeys.txt   # then: worker --passkeys passkeys.txt",
		RunE:    cli.NeedSubcommand,
	}
	c.AddCommand(a.passkeysLs(), a.passkeysExport(), a.passkeysRm())
	return c
}

// registered calls f with the passkeys that there are, the oldest first.
func (a *app) registered(c *cobra.Command, f func(*session, *passkey.Registry, []passkey.Passkey) error) error {
	s, err := a.open(c.Context(), carry{})
	if err != nil {
		return err
	}
	defer s.close()
	r := passkey.NewRegistry(s.Bus)
	list, err := r.List(c.Context())
	if err != nil {
		return err
	}
	return f(s, r, list)
}

func (a *app) passkeysLs() *cobra.Command {
	return &cobra.Command{Use: "ls", Short: "List the passkeys that people have registered", Example: "  dispatcher passkeys ls", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.registered(c, func(_ *session, _ *passkey.Registry, list []passkey.Passkey) error {
			if a.JSON() {
				return a.PrintJSON(list)
			}
			if len(list) == 0 {
				fmt.Fprintln(a.Out, "There are no passkeys: people register theirs in the console, on the page Passkeys.")
				return nil
			}
			var rows [][]any
			for _, k := range list {
				rows = append(rows, []any{k.ID, text.Line(k.Person), cmp.Or(text.Line(k.Name), "-"), k.Made.Local().Format("2006-01-02 15:04"), text.Line(k.Origin), removed(k)})
			}
			return a.Table([]any{"ID", "PERSON", "NAME", "SINCE", "CONSOLE", "COUNTS"}, rows)
		})
	}}
}

// removed says whether a passkey counts.
func removed(k passkey.Passkey) string {
	if k.Removed.IsZero() {
		return "yes"
	}
	return "removed " + k.Removed.Local().Format("2006-01-02 15:04") + " by " + text.Line(k.RemovedBy)
}

func (a *app) passkeysExport() *cobra.Command {
	return &cobra.Command{Use: "export", Short: "Print the passkeys, as `worker --passkeys` reads them", Example: "  dispatcher passkeys export > passkeys.txt", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.registered(c, func(_ *session, _ *passkey.Registry, list []passkey.Passkey) error {
			for _, k := range list {
				if k.Removed.IsZero() {
					fmt.Fprintf(a.Out, "# %s, %s, since %s\n%s\n", text.Line(k.Person), cmp.Or(text.Line(k.Name), "without a name"), k.Made.UTC().Format("2006-01-02"), k)
				}
			}
			return nil
		})
	}}
}

func (a *app) passkeysRm() *cobra.Command {
	return &cobra.Command{Use: "rm ID", Short: "Remove a passkey: it approves nothing any more", Example: "  dispatcher passkeys rm 5f0c2e9a1b3d4e6f", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.registered(c, func(s *session, r *passkey.Registry, _ []passkey.Passkey) error {
			k, err := r.Remove(c.Context(), args[0], me())
			if errors.Is(err, passkey.ErrNone) {
				return cli.WithCode(cli.ExitNotFound, fmt.Errorf("there is no passkey %q: `dispatcher passkeys ls` lists them", args[0]))
			}
			if err != nil {
				return err
			}
			if err := a.recordAct(c.Context(), s, "passkey remove", k.ID, map[string]string{"of": k.Person}); err != nil {
				return err
			}
			fmt.Fprintf(a.Out, "passkey %s of %s is removed: it approves nothing any more. Take its line out of the files of workers (--passkeys) too\n", k.ID, text.Line(k.Person))
			return nil
		})
	}}
}
