package dispatcher

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/plan"
	"belay/internal/rights"
	"belay/internal/wire"
)

// permissionsFlags are those of `dispatcher permissions`.
type permissionsFlags struct {
	role       string
	tools      string
	workers    []string
	partitions int
	jwt        string
}

func (a *app) permissionsCommand() *cobra.Command {
	var f permissionsFlags
	c := &cobra.Command{
		Use: "permissions", Short: "Print what each kind of program may do on a NATS server, as its configuration", Args: cobra.NoArgs,
		Long: "Prints the configuration of a NATS server with an account for each kind of program, in which each may do what it needs and\n" +
			"nothing else; with --role the account of one of them. With --jwt it writes the same as JWTs, with a configuration that\n" +
			"holds them, keys and credentials, into a folder; keys that are there are used again.\n\n" +
			"Programs find out by themselves that their streams are in another account. It asks no server.\n\nRoles:\n" + rightsList(),
		Example: "  dispatcher permissions > nats.conf\n" +
			"  dispatcher permissions --role worker\n" +
			"  dispatcher permissions --tools tools.yaml --worker 'payments=payments.*' --worker 'rest=orders.*,notes.*' > nats.conf\n" +
			"  dispatcher permissions --jwt /etc/nats/belay",
		RunE: func(_ *cobra.Command, _ []string) error { return a.permissions(f) },
	}
	c.Flags().StringVar(&f.role, "role", "", "only this role: "+strings.Join(rightsRoles(), ", "))
	c.Flags().StringArrayVar(&f.workers, "worker", nil, "a group of workers with an account of its own, as NAME=TOOL,TOOL with * for any letters; repeatable (default one group, worker, for all tools)")
	c.Flags().StringVar(&f.tools, "tools", "tools.yaml", "the tools file that --worker takes tools and rungs from")
	c.Flags().IntVar(&f.partitions, "partitions", wire.DefaultPartitions, "of the log, as of dispatcher serve; more than there are do no harm")
	c.Flags().StringVar(&f.jwt, "jwt", "", "write JWTs, keys, credentials and a configuration into this folder")
	return c
}

func rightsRoles() (names []string) {
	for _, r := range rights.Roles() {
		names = append(names, string(r))
	}
	return names
}

func rightsList() string {
	var b strings.Builder
	for _, r := range rights.Roles() {
		fmt.Fprintf(&b, "  %-12s %s\n", r, r.About())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (a *app) permissions(f permissionsFlags) error {
	l := rights.Layout{Names: wire.Names{Prefix: a.Prefix}, Partitions: f.partitions}
	var err error
	if l.Workers, err = f.groups(); err != nil {
		return err
	}
	if err := l.Check(); err != nil {
		return cli.Usage("%v", err)
	}
	if f.jwt != "" {
		return a.permissionFiles(l, f.jwt)
	}
	accounts := l.Accounts()
	if f.role != "" {
		if accounts = ofRole(accounts, rights.Role(f.role)); len(accounts) == 0 {
			return cli.Usage("--role %q: must be one of %s", f.role, strings.Join(rightsRoles(), ", "))
		}
	}
	switch {
	case a.JSON():
		return a.PrintJSON(accounts)
	case f.role != "":
		return rights.WriteAccounts(a.Out, accounts)
	}
	return l.Conf(a.Out)
}

func ofRole(all []rights.Account, r rights.Role) []rights.Account {
	return slices.DeleteFunc(all, func(a rights.Account) bool { return a.Users[0].Role != r })
}

func (a *app) permissionFiles(l rights.Layout, dir string) error {
	files, err := l.JWTs(dir)
	if err != nil {
		return err
	}
	if a.JSON() {
		return a.PrintJSON(files)
	}
	for _, f := range files {
		fmt.Fprintln(a.Out, f)
	}
	fmt.Fprintln(a.Err, a.Named("start nats-server in that folder with -c nats.conf; programs connect with --creds. The files in keys open everything: keep them where no program runs."))
	return nil
}

// groups are the groups of workers that the flags name.
func (f permissionsFlags) groups() (all []rights.Group, err error) {
	if len(f.workers) == 0 {
		return nil, nil
	}
	tools, err := plan.LoadTools(f.tools)
	if err != nil {
		return nil, err
	}
	for _, text := range f.workers {
		name, patterns, ok := strings.Cut(text, "=")
		if !ok || name == "" || patterns == "" {
			return nil, cli.Usage("--worker %q: must be NAME=TOOL,TOOL, like payments=payments.*", text)
		}
		g := rights.Group{Name: name}
		for pattern := range strings.SplitSeq(patterns, ",") {
			rungs := rungsOf(tools, pattern)
			if len(rungs) == 0 {
				return nil, cli.Usage("--worker %q: %s has no tool %s (dispatcher tools ls lists them)", text, f.tools, pattern)
			}
			g.Rungs = append(g.Rungs, rungs...)
		}
		all = append(all, g)
	}
	return all, nil
}

// rungsOf are the rungs of the tools that a pattern names, in order.
func rungsOf(tools *plan.Tools, pattern string) (all []rights.Rung) {
	for name, t := range tools.Tools {
		if ok, err := path.Match(pattern, name); err != nil || !ok {
			continue
		}
		for _, r := range t.Rungs {
			all = append(all, rights.Rung{Tool: name, Name: r.Name})
		}
	}
	slices.SortFunc(all, func(x, y rights.Rung) int { return strings.Compare(x.Tool+"/"+x.Name, y.Tool+"/"+y.Name) })
	return all
}
