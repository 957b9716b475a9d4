package cli

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"belay/internal/approval"
)

func (a *app) keysCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "keys", Short: "The keys that sign approvals",
		Long: "Every dispatcher signs approvals with a key of its own, made at its first start and kept in its state directory. Workers\n" +
			"take the public keys that dispatchers publish, or only those in a file (`worker --trust FILE`).",
		RunE: needSubcommand,
	}
	c.AddCommand(a.keysLs(), a.keysRotate(), a.keysRevoke(), a.keysExport())
	return c
}

// published opens a session and lists the keys that workers find, the oldest first.
func (a *app) published(c *cobra.Command) (*session, []approval.PublicKey, error) {
	s, err := a.open(c.Context(), carry{})
	if err != nil {
		return nil, nil, err
	}
	keys, err := approval.NewPublished(s.Bus).List(c.Context())
	if err != nil {
		s.close()
		return nil, nil, err
	}
	slices.SortFunc(keys, func(x, y approval.PublicKey) int { return cmp.Or(x.Made.Compare(y.Made), cmp.Compare(x.ID, y.ID)) })
	return s, keys, nil
}

func (a *app) keysLs() *cobra.Command {
	return &cobra.Command{Use: "ls", Short: "List the public keys that workers trust", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		s, keys, err := a.published(c)
		if err != nil {
			return err
		}
		defer s.close()
		if a.json() {
			return a.printJSON(keys)
		}
		if len(keys) == 0 {
			fmt.Fprintln(a.Out, "No dispatcher has published a key here: start one.")
			return nil
		}
		var rows [][]any
		for _, k := range keys {
			rows = append(rows, []any{k.ID, k.Made.Local().Format("2006-01-02 15:04"), plain(k.Host), revoked(k)})
		}
		return a.table([]any{"ID", "SINCE", "SIGNS AT", "COUNTS"}, rows)
	}}
}

// revoked says whether what a key has signed counts.
func revoked(k approval.PublicKey) string {
	if k.Revoked.IsZero() {
		return "yes"
	}
	return "revoked " + k.Revoked.Local().Format("2006-01-02 15:04")
}

func (a *app) keysExport() *cobra.Command {
	return &cobra.Command{Use: "export", Short: "Print the public keys as worker --trust reads them", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		s, keys, err := a.published(c)
		if err != nil {
			return err
		}
		defer s.close()
		for _, k := range keys {
			if !k.Revoked.IsZero() {
				continue
			}
			fmt.Fprintf(a.Out, "# %s, since %s\n%s\n", plain(k.Host), k.Made.UTC().Format("2006-01-02"), k)
		}
		return nil
	}}
}

func (a *app) keysRotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate", Short: "Make a new signing key for the dispatcher of this state directory", Args: cobra.NoArgs,
		Long: "Makes a new signing key in the state directory (--data-dir) and publishes its public half; a running dispatcher signs with\n" +
			"it at once. What the old key has signed counts until it expires; `keys revoke` ends that.",
		RunE: func(c *cobra.Command, _ []string) error { return a.rotateKey(c) },
	}
}

func (a *app) rotateKey(c *cobra.Command) error {
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	s, _, err := a.published(c)
	if err != nil {
		return err
	}
	defer s.close()
	signer, err := approval.Open(keysDir(dir))
	if err != nil {
		return err
	}
	old, err := signer.Public()
	if err != nil {
		return err
	}
	if err := signer.Rotate(); err != nil {
		return err
	}
	k, err := signer.PublishTo(c.Context(), approval.NewPublished(s.Bus))
	if err != nil {
		return fmt.Errorf("the new key is made, but not published; restart the dispatcher to publish it: %w", err)
	}
	if err := a.recordAct(c.Context(), s, "key rotate", k.ID, map[string]string{"before": old.ID}); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, a.named("key %s signs now. What %s has signed counts until it expires; end that with: dispatcher keys revoke %s\n"), k.ID, old.ID, old.ID)
	return nil
}

func (a *app) keysRevoke() *cobra.Command {
	return &cobra.Command{Use: "revoke ID", Short: "Let nothing count that a key has signed", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		s, keys, err := a.published(c)
		if err != nil {
			return err
		}
		defer s.close()
		if !slices.ContainsFunc(keys, func(k approval.PublicKey) bool { return k.ID == args[0] }) {
			return &exitError{exitNotFound, fmt.Errorf("there is no key %q: `dispatcher keys ls` lists them", args[0])}
		}
		if err := approval.NewPublished(s.Bus).Revoke(c.Context(), args[0]); err != nil {
			return err
		}
		if err := a.recordAct(c.Context(), s, "key revoke", args[0], nil); err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "key %s is revoked: what it has signed and nobody has executed yet is refused\n", args[0])
		return nil
	}}
}
