package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/access"
)

func (a *app) tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "token", Short: "API tokens: who may do what against `dispatcher serve`",
		Long: "Tokens are made by whoever may write to NATS as an admin. Only hashes are stored. Show one as BELAY_API_TOKEN to commands,\n" +
			"as `Authorization: Bearer ...` to the HTTP API, and on the sign-in page of the console.",
		RunE: needSubcommand,
	}
	c.AddCommand(a.tokenCreate(), a.tokenLs(), a.tokenRevoke())
	return c
}

// withTokens runs f with the tokens of the server.
func (a *app) withTokens(c *cobra.Command, f func(*session, *access.Tokens) error) error {
	s, err := a.open(c.Context(), carry{})
	if err != nil {
		return err
	}
	defer s.close()
	tokens, err := access.OpenTokens(c.Context(), s.Bus)
	if err != nil {
		return err
	}
	return f(s, tokens)
}

func (a *app) tokenCreate() *cobra.Command {
	var role, owner string
	var expires time.Duration
	c := &cobra.Command{Use: "create NAME", Short: "Make a token; it is printed this once", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withTokens(c, func(s *session, tokens *access.Tokens) error {
			want := access.Token{Name: args[0], Owner: owner, Role: access.Role(role), By: me()}
			if expires > 0 {
				want.Expires = time.Now().Add(expires).UTC().Truncate(time.Second)
			}
			text, made, err := tokens.Make(c.Context(), want, time.Now())
			if err != nil {
				return &exitError{exitInvalid, err}
			}
			if err := a.recordAct(c.Context(), s, "token create", made.ID, made); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(struct {
					access.Token
					Text string `json:"token"`
				}{made, text})
			}
			fmt.Fprintf(a.Err, "token %s of %s, %s; it is not shown again:\n", made.ID, plain(made.Owner), made.Role)
			fmt.Fprintln(a.Out, text)
			return nil
		})
	}}
	fl := c.Flags()
	fl.Var(oneOf(&role, string(access.Operator), "viewer", "operator", "approver", "admin"), "role", "what it opens: looking; deciding; also approving; also tokens and keys")
	fl.StringVar(&owner, "owner", "", "the person whose it is; two tokens of one person are one approver (default the name)")
	fl.DurationVar(&expires, "expires", 0, "how long it is good for; 0 = until it is revoked")
	return c
}

func (a *app) tokenLs() *cobra.Command {
	return &cobra.Command{Use: "ls", Short: "List tokens", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withTokens(c, func(_ *session, tokens *access.Tokens) error {
			list, err := tokens.List(c.Context())
			if err != nil {
				return err
			}
			if a.json() {
				if list == nil {
					list = []access.Token{}
				}
				return a.printJSON(list)
			}
			if len(list) == 0 {
				fmt.Fprintln(a.Out, a.named("No token yet: dispatcher token create NAME --role approver"))
				return nil
			}
			var rows [][]any
			for _, t := range list {
				rows = append(rows, []any{t.ID, cut(plain(t.Name), 16), cut(plain(t.Owner), 12), t.Role, t.Made.Local().Format("2006-01-02"), standing(t)})
			}
			return a.table([]any{"ID", "NAME", "OWNER", "ROLE", "MADE", "GOOD"}, rows)
		})
	}}
}

// standing says whether a token opens anything.
func standing(t access.Token) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked " + t.Revoked.Local().Format("2006-01-02")
	case !t.Good(time.Now()):
		return "expired"
	case !t.Expires.IsZero():
		return "until " + t.Expires.Local().Format("2006-01-02")
	}
	return "yes"
}

func (a *app) tokenRevoke() *cobra.Command {
	return &cobra.Command{Use: "revoke ID", Short: "End a token at once", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withTokens(c, func(s *session, tokens *access.Tokens) error {
			err := tokens.Revoke(c.Context(), args[0], time.Now())
			if errors.Is(err, access.ErrNoToken) {
				return &exitError{exitNotFound, fmt.Errorf("%w: `dispatcher token ls` lists them", err)}
			}
			if err == nil {
				err = a.recordAct(c.Context(), s, "token revoke", args[0], nil)
			}
			if err == nil {
				fmt.Fprintf(a.Out, "token %s opens nothing any more\n", args[0])
			}
			return err
		})
	}}
}
