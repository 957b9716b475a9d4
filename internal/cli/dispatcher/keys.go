package dispatcher

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"belay/internal/approval"
	"belay/internal/cli"
	"belay/internal/text"
)

func (a *app) keysCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "keys", Short: "List, export, rotate, revoke and vouch for the keys that sign approvals",
		Long: "Each dispatcher signs approvals with its own key, which it makes at its first start and keeps in its state directory. Workers\n" +
			"pin the first public keys that dispatchers publish, and trust others only if one of these vouches for them, as a key does for the\n" +
			"one that replaces it (`keys rotate`) and a dispatcher for another (`keys vouch`); or only those in a file (`worker --trust FILE`).",
		Example: "  dispatcher keys export > keys.txt   # then: worker --trust keys.txt",
		RunE:    cli.NeedSubcommand,
	}
	c.AddCommand(a.keysLs(), a.keysRotate(), a.keysRevoke(), a.keysExport(), a.keysVouch())
	return c
}

// published opens a session and lists the keys that dispatchers have published, the oldest first.
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
	return &cobra.Command{Use: "ls", Short: "List the public keys that dispatchers publish", Example: "  dispatcher keys ls", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		s, keys, err := a.published(c)
		if err != nil {
			return err
		}
		defer s.close()
		if a.JSON() {
			return a.PrintJSON(keys)
		}
		if len(keys) == 0 {
			fmt.Fprintln(a.Out, a.Named("There are no keys: a dispatcher publishes its key when it starts (`dispatcher serve`)."))
			return nil
		}
		var rows [][]any
		for _, k := range keys {
			rows = append(rows, []any{k.ID, k.Made.Local().Format("2006-01-02 15:04"), text.Line(k.Host), vouched(k), revoked(k)})
		}
		return a.Table([]any{"ID", "SINCE", "SIGNS AT", "VOUCHED BY", "COUNTS"}, rows)
	}}
}

// vouched says which keys vouch for a key, as is published; whether that is true only workers check.
func vouched(k approval.PublicKey) string {
	var by []string
	for _, v := range k.Vouched {
		by = append(by, text.Line(v.By))
	}
	return cmp.Or(strings.Join(by, " "), "-")
}

// revoked says whether the signatures of a key count.
func revoked(k approval.PublicKey) string {
	if k.Revoked.IsZero() {
		return "yes"
	}
	return "revoked " + k.Revoked.Local().Format("2006-01-02 15:04")
}

func (a *app) keysExport() *cobra.Command {
	return &cobra.Command{Use: "export", Short: "Print the public keys, as `worker --trust` reads them", Example: "  dispatcher keys export > trusted-keys", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		s, keys, err := a.published(c)
		if err != nil {
			return err
		}
		defer s.close()
		for _, k := range keys {
			if !k.Revoked.IsZero() {
				continue
			}
			fmt.Fprintf(a.Out, "# %s, since %s\n%s\n", text.Line(k.Host), k.Made.UTC().Format("2006-01-02"), k)
		}
		return nil
	}}
}

func (a *app) keysRotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate", Short: "Replace the signing key in this state directory", Example: "  dispatcher keys rotate --data-dir /var/lib/belay", Args: cobra.NoArgs,
		Long: "Makes a new signing key in the state directory (--data-dir) and publishes its public half, with the old key's signature,\n" +
			"so that workers which trust that trust the new one too. A running dispatcher signs with it at once. What the old key has signed counts until it expires, or until `dispatcher keys revoke`.",
		RunE: func(c *cobra.Command, _ []string) error { return a.rotateKey(c) },
	}
}

func (a *app) rotateKey(c *cobra.Command) error {
	dir, err := a.StateDir()
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
	keys := approval.NewPublished(s.Bus)
	if _, err := signer.PublishTo(c.Context(), keys); err != nil { // so that the new one is vouched for by a key that workers find
		return err
	}
	if err := signer.Rotate(); err != nil {
		return err
	}
	k, err := signer.PublishTo(c.Context(), keys)
	if err != nil {
		return fmt.Errorf("the new key is in place, but not published; restart the dispatcher to publish it: %w", err)
	}
	if err := a.recordAct(c.Context(), s, "key rotate", k.ID, map[string]string{"before": old.ID}); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, a.Named("key %s signs from now on. What %s has signed counts until it expires, or until: dispatcher keys revoke %s\n"), k.ID, old.ID, old.ID)
	return nil
}

func (a *app) keysVouch() *cobra.Command {
	return &cobra.Command{
		Use: "vouch ID", Short: "Have workers trust another dispatcher's key", Example: "  dispatcher keys vouch 5f0c2e9a1b3d4e6f --data-dir /var/lib/belay", Args: cobra.ExactArgs(1),
		Long: "Signs a published key with the key in this state directory (--data-dir): workers that trust this one trust that one from then on. Do it\n" +
			"for a dispatcher that is new, or has lost its state directory, once you know that the key is its own: it logs its id at its start.",
		RunE: func(c *cobra.Command, args []string) error { return a.vouchFor(c, args[0]) },
	}
}

func (a *app) vouchFor(c *cobra.Command, id string) error {
	dir, err := a.StateDir()
	if err != nil {
		return err
	}
	s, keys, err := a.published(c)
	if err != nil {
		return err
	}
	defer s.close()
	if !slices.ContainsFunc(keys, func(k approval.PublicKey) bool { return k.ID == id }) {
		return cli.WithCode(cli.ExitNotFound, fmt.Errorf("there is no key %q: `dispatcher keys ls` lists them", id))
	}
	signer, err := approval.Open(keysDir(dir))
	if err != nil {
		return err
	}
	mine, err := signer.Public()
	if err != nil {
		return err
	}
	if err := signer.Vouch(c.Context(), approval.NewPublished(s.Bus), id); err != nil {
		return err
	}
	if err := a.recordAct(c.Context(), s, "key vouch", id, map[string]string{"by": mine.ID}); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "key %s is vouched for by %s: workers that trust that one trust it too\n", id, mine.ID)
	return nil
}

func (a *app) keysRevoke() *cobra.Command {
	return &cobra.Command{Use: "revoke ID", Short: "Revoke a key: what it has signed no longer counts", Example: "  dispatcher keys revoke 5f0c2e9a", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		s, keys, err := a.published(c)
		if err != nil {
			return err
		}
		defer s.close()
		if !slices.ContainsFunc(keys, func(k approval.PublicKey) bool { return k.ID == args[0] }) {
			return cli.WithCode(cli.ExitNotFound, fmt.Errorf("there is no key %q: `dispatcher keys ls` lists them", args[0]))
		}
		if err := approval.NewPublished(s.Bus).Revoke(c.Context(), args[0]); err != nil {
			return err
		}
		if err := a.recordAct(c.Context(), s, "key revoke", args[0], nil); err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "key %s is revoked: workers refuse what it has signed\n", args[0])
		return nil
	}}
}
