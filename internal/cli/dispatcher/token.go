package dispatcher

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/access"
	"belay/internal/bus"
	"belay/internal/cli"
	"belay/internal/people"
	"belay/internal/text"
)

func (a *app) tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "token", Short: "Create, list and revoke API tokens for `dispatcher serve`",
		Long: "A token says who somebody is and what they may do. Whoever can write to Belay's NATS streams can create tokens; only their hashes\n" +
			"are stored. Commands take one from BELAY_API_TOKEN, the HTTP API from `Authorization: Bearer ...`, the console on its sign-in page.",
		RunE: cli.NeedSubcommand,
	}
	c.AddCommand(a.tokenCreate(), a.tokenLs(), a.tokenRevoke())
	return c
}

// withTokens calls f with the tokens of the server.
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
	var limits people.Limits
	c := &cobra.Command{Use: "create NAME", Short: "Create a token and print it, this once",
		Long: "Creates a token. A submitter is a program: it starts the server's plans and tools that --plan and --tool name, sees, cancels\n" +
			"and retries what it has started, and decides nothing. The other roles are for people.",
		Example: "  dispatcher token create \"mia's phone\" --owner mia --role approver --expires 720h\n" +
			"  dispatcher token create shop --role submitter --plan refund --plan 'mail-*' --unsafe\n" +
			"  dispatcher token create agent --role submitter --tool 'orders.*' --whole-plans", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			return a.withTokens(c, func(s *session, tokens *access.Tokens) error {
				want := access.Token{Name: args[0], Owner: owner, Role: people.Role(role), By: me(), Limits: limits}
				if expires > 0 {
					want.Expires = cli.Now().Add(expires).UTC().Truncate(time.Second)
				}
				secret, made, err := tokens.Make(c.Context(), want, cli.Now())
				if errors.Is(err, bus.ErrUncertain) || errors.Is(err, bus.ErrFull) {
					return err
				}
				if err != nil {
					return cli.WithCode(cli.ExitInvalid, err)
				}
				if err := a.recordAct(c.Context(), s, "token create", made.ID, made); err != nil {
					return err
				}
				if a.JSON() {
					return a.PrintJSON(struct {
						access.Token
						Text string `json:"token"`
					}{made, secret})
				}
				fmt.Fprintf(a.Err, "token %s of %s, %s; it cannot be shown a second time:\n", made.ID, text.Line(made.Owner), mayDo(made))
				fmt.Fprintln(a.Out, secret)
				return nil
			})
		}}
	fl := c.Flags()
	fl.Var(cli.OneOf(&role, string(people.Operator), roleNames()...), "role", "submitter: start runs and see its own; viewer: look; operator: also start and decide; approver: also approve; admin: also start plans of their own and call tools")
	fl.StringSliceVar(&limits.Plans, "plan", nil, "of a submitter: `plans` of the server that it may start, with * for any letters; may be repeated")
	fl.StringSliceVar(&limits.Tools, "tool", nil, "of a submitter: `tools` that it may call, and use in whole plans; patterns like --plan")
	fl.BoolVar(&limits.WholePlans, "whole-plans", false, "of a submitter: it may bring plans of its own, of the tools that --tool names")
	fl.BoolVar(&limits.Unsafe, "unsafe", false, "of a submitter: what it starts may use tools whose effects are unsafe")
	fl.StringVar(&owner, "owner", "", "`person` it belongs to; all tokens of one person count as one approver (default the token's name)")
	fl.DurationVar(&expires, "expires", 0, "how long it is valid; 0 = until it is revoked")
	return c
}

func roleNames() []string {
	var names []string
	for _, r := range people.Roles() {
		names = append(names, string(r))
	}
	return names
}

// mayDo is a token's role, and the limits of a submitter.
func mayDo(t access.Token) string {
	if t.Limits.IsZero() {
		return string(t.Role)
	}
	return string(t.Role) + " of " + text.Line(t.Limits.String())
}

func (a *app) tokenLs() *cobra.Command {
	return &cobra.Command{Use: "ls", Short: "List tokens", Example: "  dispatcher token ls", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withTokens(c, func(_ *session, tokens *access.Tokens) error {
			list, err := tokens.List(c.Context())
			if err != nil {
				return err
			}
			if a.JSON() {
				if list == nil {
					list = []access.Token{}
				}
				return a.PrintJSON(list)
			}
			if len(list) == 0 {
				fmt.Fprintln(a.Out, a.Named("There are no tokens. Create one with: dispatcher token create NAME --role approver"))
				return nil
			}
			var rows [][]any
			for _, t := range list {
				rows = append(rows, []any{t.ID, text.Cut(text.Line(t.Name), 16), text.Cut(text.Line(t.Owner), 12), t.Role, t.Made.Local().Format("2006-01-02"), standing(t), cmp.Or(text.Line(t.Limits.String()), "-")})
			}
			return a.Table([]any{"ID", "NAME", "OWNER", "ROLE", "MADE", "GOOD", "LIMITS"}, rows)
		})
	}}
}

// standing says whether a token is valid.
func standing(t access.Token) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked " + t.Revoked.Local().Format("2006-01-02")
	case !t.Good(cli.Now()):
		return "expired"
	case !t.Expires.IsZero():
		return "until " + t.Expires.Local().Format("2006-01-02")
	}
	return "yes"
}

func (a *app) tokenRevoke() *cobra.Command {
	return &cobra.Command{Use: "revoke ID", Short: "Revoke a token at once", Example: "  dispatcher token revoke 3f9c1a20", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withTokens(c, func(s *session, tokens *access.Tokens) error {
			err := tokens.Revoke(c.Context(), args[0], cli.Now())
			if errors.Is(err, access.ErrNoToken) {
				return cli.WithCode(cli.ExitNotFound, fmt.Errorf("%w: `dispatcher token ls` lists them", err))
			}
			if err == nil {
				err = a.recordAct(c.Context(), s, "token revoke", args[0], nil)
			}
			if err == nil {
				fmt.Fprintf(a.Out, "token %s is revoked\n", args[0])
			}
			return err
		})
	}}
}
