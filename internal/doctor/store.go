package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"belay/internal/approval"
	"belay/internal/bus"
	"belay/internal/tally"
	"belay/internal/text"
)

// setUp is what makes the streams.
const setUp = "start `dispatcher serve` against this server; it makes what is missing"

func (e *examination) streams(ctx context.Context) []Finding {
	if e.noLog() {
		s := Fail
		if e.Embedded {
			s = OK
		}
		return one("streams", s, "there are none: nothing has been set up here", setUp)
	}
	f, err := e.inspect(ctx)
	if err != nil {
		return failed("streams", err)
	}
	all := e.queueIsGone(&f)
	if len(f.Missing) > 0 {
		all = append(all, Finding{"streams", Fail, "missing: " + strings.Join(f.Missing, ", "), "a running dispatcher makes them again within seconds, or at its next start; look with `dispatcher store check` for what is lost"})
	}
	partitions := Finding{"partitions", OK, fmt.Sprintf("%d, and all streams agree", e.Bus.Partitions()), ""}
	for _, d := range f.Drift {
		s, check := Warn, "settings"
		if d.Grave() {
			s = Fail
		}
		if strings.HasPrefix(d.Field, "metadata ") {
			check, partitions = "partitions", Finding{}
		}
		all = append(all, Finding{check, s, d.Seen(), d.Cure()})
	}
	if len(all) == 0 {
		all = one("streams", OK, fmt.Sprintf("%d streams and %d consumers are there, set up as they must be", f.Streams, f.Consumers), "")
	}
	if partitions.Check != "" {
		all = append(all, partitions)
	}
	return all
}

// queueIsGone says that the step queue is not there, and takes it off the list: it is in the server's memory, so that is no loss.
func (e *examination) queueIsGone(f *bus.Found) []Finding {
	queue := "stream " + e.Bus.Names().StepsStream()
	if !slices.Contains(f.Missing, queue) {
		return nil
	}
	missing := f.Missing
	f.Missing = nil
	for _, m := range missing {
		if m != queue {
			f.Missing = append(f.Missing, m)
		}
	}
	if e.Embedded {
		return nil
	}
	return one("streams", Warn, "the step queue is not there: it went with its server", "a running dispatcher makes it again from the log; does one run?")
}

func (e *examination) replicas(ctx context.Context) []Finding {
	const check = "replicas"
	if e.noLog() {
		return nil
	}
	f, err := e.inspect(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return one(check, Fail, "JetStream does not answer: "+err.Error(), "in a cluster more than half of the servers must run: start those that are away")
	}
	if err != nil {
		return failed(check, err)
	}
	most := e.Bus.Replicas()
	var fewer, behind, headless []string
	for _, k := range f.Kept {
		if k.Replicas < most {
			fewer = append(fewer, k.Stream)
		}
		if len(k.Behind) > 0 {
			behind = append(behind, k.Stream+" on "+strings.Join(k.Behind, " and "))
		}
		if k.NoLeader {
			headless = append(headless, k.Stream)
		}
	}
	switch {
	case len(headless) > 0:
		return one(check, Fail, "no server leads "+strings.Join(headless, ", "), "start the servers that are away: of three at least two must run")
	case len(behind) > 0:
		return one(check, Warn, "not up to date, or not there: "+strings.Join(behind, "; "), "start that server, or wait until it has caught up; the loss of another one would stop everything")
	case len(fewer) > 0:
		return one(check, Warn, fmt.Sprintf("the log is on %d servers, and on fewer are: %s", most, strings.Join(fewer, ", ")), fmt.Sprintf("nats stream edit --replicas %d", most))
	case most == 1 && e.Bus.Clustered():
		return one(check, Warn, "the server is one of a cluster, and the log is on one of them only", "nats stream edit --replicas 3 for all streams and buckets; else the loss of that server stops everything")
	case most == 1:
		return one(check, OK, "1, on the only server", "")
	}
	return one(check, OK, fmt.Sprintf("all streams are on %d servers, which have all of it", most), "")
}

// How much of a limit may be used before it is said.
const (
	tight = 0.8
	full  = 0.95
)

func (e *examination) headroom(ctx context.Context) []Finding {
	const check = "room"
	use, err := e.Bus.Usage(ctx)
	if err != nil {
		return failed(check, err)
	}
	f, _ := e.inspect(ctx) // what cannot be seen there is said there
	for _, k := range f.Kept {
		if k.MaxBytes > 0 {
			use = append(use, bus.Usage{What: "bytes of " + k.Stream, Used: k.Bytes, Most: k.MaxBytes})
		}
	}
	state, worst, seen := OK, 0.0, []string{}
	for _, u := range use {
		if u.Most <= 0 {
			continue
		}
		part := float64(u.Used) / float64(u.Most)
		if part >= tight || worst == 0 {
			seen = append(seen, fmt.Sprintf("%s: %d of %d (%.0f %%)", u.What, u.Used, u.Most, 100*part))
		}
		worst = max(worst, part)
	}
	switch {
	case worst >= full:
		state = Fail
	case worst >= tight:
		state = Warn
	}
	if len(seen) == 0 {
		return one(check, OK, "the account has no limits; how full the server's disk is does not show from here", "")
	}
	if state == OK {
		return one(check, OK, fmt.Sprintf("at most %.0f %% of each limit of the account is used", 100*worst), "")
	}
	return one(check, state, strings.Join(seen, "; "), "raise the account's limits or --max-bytes, or shorten --retention; what is beyond is refused, and runs stand still")
}

// unlooked is for how long nobody may have looked at the log.
const unlooked = 5 * time.Minute

func (e *examination) log(ctx context.Context) []Finding {
	const check = "log"
	if e.rig != nil {
		return nil
	}
	open, looked, err := tally.Open(ctx, e.Bus)
	switch {
	case err != nil:
		return failed(check, err)
	case len(open) > 0:
		more := ""
		if len(open) > 1 {
			more = fmt.Sprintf(" (and %d more)", len(open)-1)
		}
		return one(check, Fail, "it was damaged behind Belay's back: "+open[0].Text()+more, "look with `dispatcher store check`, and say with `dispatcher store accept` that work may go on; until then calls that must not happen twice are held back")
	case looked.IsZero():
		return one(check, Unknown, "no dispatcher has looked yet whether it is whole", "a dispatcher that runs looks by itself; `dispatcher store check` reads all of it")
	case time.Since(looked) > unlooked && !e.Embedded:
		return one(check, Warn, "nobody has looked since "+looked.Local().Format("2006-01-02 15:04:05")+" whether it is whole", "a running dispatcher looks by itself: does one run?")
	}
	return one(check, OK, "nothing is missing or changed, as far as was looked", "")
}

// foreign are the keys that count and that workers refuse, because no key vouches for them that they have pinned.
func (e *examination) foreign(ctx context.Context, count []approval.PublicKey) (all []Finding) {
	by, host := map[string][]string{}, map[string]string{}
	for _, w := range e.meet(ctx).workers {
		for _, k := range w.Foreign {
			if slices.ContainsFunc(count, func(c approval.PublicKey) bool { return c.ID == k.ID }) { // else it was revoked meanwhile
				by[k.ID], host[k.ID] = append(by[k.ID], w.Name), k.Host
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(by)) {
		all = append(all, Finding{"keys", Fail, fmt.Sprintf("workers refuse what key %s signs, published by %q: no key vouches for it that they have pinned (%s)", id, text.Line(host[id]), strings.Join(by[id], ", ")),
			"if a dispatcher of yours signs with it: `dispatcher keys vouch " + id + "` where one that they trust has its state directory; if not: `dispatcher keys revoke " + id + "`, and look at who may write to the bucket of keys"})
	}
	return all
}

// contradicted are the workers that keep checkpoints which the audit trail contradicts.
func (e *examination) contradicted(ctx context.Context) (all []Finding) {
	for _, w := range e.meet(ctx).workers {
		if w.Contradicted != "" {
			all = append(all, Finding{"audit trail", Fail, fmt.Sprintf("worker %s says that it contradicts checkpoints which that worker keeps: %s", text.Line(w.Name), text.Line(w.Contradicted)),
				"look at who may write to the streams; a dispatcher that is shown what a worker keeps signs no more of such a trail until `dispatcher store accept --reason TEXT`"})
		}
	}
	return all
}

// oldKey is how old a key may become before it is said.
const oldKey = 365 * 24 * time.Hour

func (e *examination) keys(ctx context.Context) []Finding {
	const check = "keys"
	if e.rig != nil {
		return nil
	}
	if there, err := e.Bus.BucketIfThere(ctx, e.Bus.Names().KeysBucket()); err != nil || there == nil {
		if err != nil {
			return failed(check, err)
		}
		return one(check, Warn, "no signing key was ever published: workers refuse every approval", "start `dispatcher serve`; it publishes its key")
	}
	all, err := approval.NewPublished(e.Bus).List(ctx)
	if err != nil {
		return failed(check, err)
	}
	revoked := len(all)
	all = slices.DeleteFunc(all, func(k approval.PublicKey) bool { return !k.Revoked.IsZero() })
	revoked -= len(all)
	if len(all) == 0 {
		return one(check, Warn, fmt.Sprintf("no signing key counts (%d are revoked): workers refuse every approval", revoked), "start `dispatcher serve`, which publishes its key, or `dispatcher keys rotate`")
	}
	if foreign := e.foreign(ctx, all); len(foreign) > 0 {
		return foreign
	}
	oldest := slices.MinFunc(all, func(a, b approval.PublicKey) int { return a.Made.Compare(b.Made) })
	seen := fmt.Sprintf("%s counts, the oldest since %s", count(len(all), "signing key", "signing keys"), oldest.Made.Local().Format("2006-01-02"))
	if len(all) > 1 {
		seen = strings.Replace(seen, "counts", "count", 1)
	}
	if revoked > 0 {
		seen += fmt.Sprintf("; %d revoked", revoked)
	}
	if time.Since(oldest.Made) > oldKey {
		return one(check, Warn, seen, "`dispatcher keys rotate`, and revoke what no dispatcher signs with any more (`dispatcher keys ls`)")
	}
	return one(check, OK, seen, "")
}
