package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"belay/internal/access"
	"belay/internal/bus"
	"belay/internal/bus/embedded"
	"belay/internal/cli"
	"belay/internal/doctor"
	"belay/internal/engine"
	"belay/internal/notify"
	"belay/internal/plan"
	"belay/internal/schedules"
	"belay/internal/text"
)

// doctorFlags say what is looked at beside the server and who runs.
type doctorFlags struct {
	tools, notify string
	monitors      []string
	send          bool
}

func (a *app) doctorCommand() *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use: "doctor", Short: "Look whether everything is as it should be, and say what to do where it is not", Args: cobra.NoArgs,
		Long: "Looks at the server (version, sync, max_payload), the streams and how they are kept, whether the log is whole, the room that is\n" +
			"left, this machine's clock, what this connection may do, the signing keys, the passkeys that a tool asks for (--tools),\n" +
			"schedules that nobody answers for, the dispatchers and workers that run and their versions. It changes nothing. Each finding is ok, warn, fail or unknown (it cannot be seen from here), with what to do. Exit\n" +
			"code 1 if something must not be so, 69 if the server cannot be reached. The console's page System shows the same.",
		Example: "  dispatcher doctor\n  dispatcher doctor --server nats://nats.internal:4222 --tools tools.yaml --notify notify.yaml --monitor http://nats.internal:8222",
		RunE:    func(c *cobra.Command, _ []string) error { return a.doctor(c.Context(), f) },
	}
	c.Flags().StringVar(&f.tools, "tools", "", "tools `file` whose rungs workers should serve")
	c.Flags().StringVar(&f.notify, "notify", "", "notify `file` whose channels should answer; nothing is sent to them")
	c.Flags().BoolVar(&f.send, "send", false, "send a test notice to each channel of the notify file")
	c.Flags().StringSliceVar(&f.monitors, "monitor", nil, "`URLs` of the NATS servers' monitoring, which says whether they sync, with commas between")
	return c
}

func leftBehind(ctx context.Context, b *bus.Bus) ([]string, error) {
	return schedules.LeftBehind(ctx, b, access.Ended)
}

func (a *app) doctor(ctx context.Context, f doctorFlags) error {
	o := doctor.Options{Version: cli.Version, Monitors: f.monitors, Outbound: a.Outbound(), LeftBehind: leftBehind}
	if f.tools != "" {
		tools, err := plan.LoadTools(f.tools)
		if err != nil {
			return err
		}
		o.Serves, o.File, o.Asks = servedBy(tools), f.tools, tools.AskPasskey()
	}
	switch {
	case f.notify != "":
		s, err := notify.Load(f.notify, a.Getenv, a.Outbound().Own())
		if err != nil {
			return err
		}
		o.Channels = channelsOf(s, f.send)
	case f.send:
		return cli.Usage("--send needs --notify FILE: whom should it notify?")
	}
	r, err := a.examine(ctx, o)
	if err != nil {
		return err
	}
	return a.printFindings(r)
}

// examine looks at the server that the flags name or that runs here, or else at the embedded store.
func (a *app) examine(ctx context.Context, o doctor.Options) (doctor.Report, error) {
	conn, dir := a.Connection("doctor"), ""
	conn.Logger = nil // it would say what the report says
	if conn.Server == "" && conn.Context == "" {
		var err error
		if dir, err = a.StateDir(); err != nil {
			return doctor.Report{}, err
		}
		if conn.Server, err = cli.FindServer(dir); err != nil && !errors.Is(err, cli.ErrNoServer) {
			return doctor.Report{}, err
		}
	}
	if conn.Server != "" || conn.Context != "" {
		b, err := bus.Connect(ctx, conn)
		switch {
		case errors.Is(err, bus.ErrUnfit):
			return doctor.Unfit(conn.Server, err), nil
		case err == nil:
			defer b.Close()
			o.Bus = b
			return doctor.Examine(ctx, o), nil
		case dir == "":
			return doctor.Report{}, a.Unreachable(err)
		} // its process may have been killed and have left its note behind
	}
	return a.examineStore(ctx, dir, conn, o)
}

// examineStore looks at the embedded store, which nothing else uses now.
func (a *app) examineStore(ctx context.Context, dir string, conn bus.Options, o doctor.Options) (doctor.Report, error) {
	store := filepath.Join(dir, "jetstream")
	if _, err := os.Stat(store); errors.Is(err, fs.ErrNotExist) {
		return doctor.Of(dir, doctor.Finding{
			Check: "store", State: doctor.OK, Seen: "no server is named or running here, and there is no store in " + dir,
			Do: "`dispatcher dev` or `dispatcher run` makes one; --server looks at a server",
		}), nil
	}
	server, err := embedded.Start(embedded.Options{StoreDir: store, Logger: a.Logger(slog.LevelWarn)})
	if err != nil {
		return doctor.Report{}, err
	}
	defer server.Shutdown()
	conn.Server, conn.Context, conn.InProcess = "", "", server
	b, err := bus.Connect(ctx, conn)
	if err != nil {
		return doctor.Report{}, err
	}
	defer b.Close()
	o.Bus, o.Embedded, o.Sync = b, true, embedded.Fsync
	return doctor.Examine(ctx, o), nil
}

// lookedAt is what the page System of a dispatcher looks at beside the bus.
func lookedAt(o engine.Options, sync string, tools *plan.Tools) (d doctor.Options) {
	d.Sync, d.LeftBehind = sync, leftBehind
	if n, is := o.People.Notifier.(*notify.Service); is && n.Setup != nil {
		d.Channels = channelsOf(n.Setup, false)
	}
	if tools != nil {
		d.Serves, d.File, d.Asks = servedBy(tools), tools.File, tools.AskPasskey()
	}
	return d
}

func servedBy(t *plan.Tools) (rungs []string) {
	for name, def := range t.Tools {
		for _, r := range def.Rungs {
			rungs = append(rungs, name+"/"+r.Name)
		}
	}
	slices.Sort(rungs)
	return rungs
}

// channelsOf are the channels of a notify file. With send each gets a test notice.
func channelsOf(s *notify.Setup, send bool) (all []doctor.Channel) {
	for _, name := range slices.Sorted(maps.Keys(s.Channels)) {
		c := s.Channels[name]
		reach := func(ctx context.Context) (string, error) { return notify.Reach(ctx, c) }
		if send {
			reach = func(ctx context.Context) (string, error) {
				return "it accepted a test notice; check that it arrived", notify.Test(ctx, c)
			}
		}
		all = append(all, doctor.Channel{Name: name, Reach: reach})
	}
	return all
}

func (a *app) printFindings(r doctor.Report) error {
	code := cli.ExitOK
	if r.State == doctor.Fail {
		code = cli.ExitUnexpected
	}
	if a.JSON() {
		return errors.Join(a.PrintJSON(r), cli.Quiet(code))
	}
	for _, f := range r.Findings {
		fmt.Fprintf(a.Out, "%-7s  %s: %s\n", f.State, text.Line(f.Check), text.Line(f.Seen))
		if f.Do != "" && f.State != doctor.OK {
			fmt.Fprintf(a.Out, "         -> %s\n", text.Line(a.Named(f.Do)))
		}
	}
	var words []string
	for _, s := range []doctor.State{doctor.Fail, doctor.Warn, doctor.Unknown, doctor.OK} {
		if n := r.Count(s); n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, s))
		}
	}
	fmt.Fprintf(a.Out, "\n%s: %s\n", text.Line(r.Where), strings.Join(words, ", "))
	return cli.Quiet(code)
}
