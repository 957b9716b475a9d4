package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/outbound"
	"belay/internal/rights"
)

func (e *examination) server(context.Context) []Finding {
	v := e.Bus.ServerVersion()
	seen := fmt.Sprintf("NATS %s at %s", v, e.Bus.Place())
	all := one("server version", OK, seen, "")
	if bus.BeforeTried(v) {
		all = one("server version", Warn, seen, "upgrade it to "+bus.Tried+" or newer: older ones were not tried")
	}
	payload := Finding{"max_payload", OK, fmt.Sprintf("%d bytes", e.Bus.MaxPayload()), ""}
	if err := e.Bus.Small(); err != nil {
		payload = Finding{"max_payload", Warn, err.Error(), "set max_payload in the server's configuration; until then larger plans, parameters and outputs are refused"}
	}
	return append(all, payload)
}

const howToSync = "set sync_interval: always in the jetstream block of the server's configuration"

// durability says whether what is confirmed is on disk. A server does not say so over NATS; its monitoring does.
func (e *examination) durability(ctx context.Context) []Finding {
	const check = "sync"
	switch {
	case e.Sync == "fsync":
		return one(check, OK, "the embedded server syncs before it confirms", "")
	case e.Sync != "":
		return one(check, Warn, "the embedded server syncs once a second: a power cut may lose the last second", "start it without --durability interval")
	case len(e.Monitors) > 0:
		var all []Finding
		for _, url := range e.Monitors {
			all = append(all, e.monitored(ctx, url))
		}
		return all
	}
	for _, d := range e.meet(ctx).dispatchers {
		switch d.Sync {
		case "":
		case "fsync":
			return one(check, OK, fmt.Sprintf("the server in the process of %s syncs before it confirms", d.Name), "")
		default:
			return one(check, Warn, fmt.Sprintf("the server in the process of %s syncs once a second: a power cut may lose the last second", d.Name), "start it without --durability interval")
		}
	}
	return one(check, Unknown, "a server does not say over NATS whether it syncs before it confirms; NATS's default syncs every two minutes, and a power cut loses what came since",
		howToSync+"; where monitoring is on, --monitor http://HOST:8222 looks")
}

// monitored is what a server's monitoring says about how it stores.
func (e *examination) monitored(ctx context.Context, url string) Finding {
	var v struct {
		Name      string `json:"server_name"`
		JetStream struct {
			Config *struct {
				Every  time.Duration `json:"sync_interval"`
				Always bool          `json:"sync_always"`
			} `json:"config"`
		} `json:"jetstream"`
	}
	err := e.get(ctx, strings.TrimSuffix(url, "/")+"/varz", &v)
	switch c := v.JetStream.Config; {
	case err != nil:
		return Finding{"sync", Unknown, fmt.Sprintf("%s: %v", url, err), "--monitor takes the URL of a NATS server's monitoring (http_port), like http://127.0.0.1:8222"}
	case c == nil:
		return Finding{"sync", Unknown, fmt.Sprintf("%s at %s has no JetStream", v.Name, url), "ask a server that has"}
	case !c.Always:
		return Finding{"sync", Fail, fmt.Sprintf("%s syncs every %s: a power cut loses what was confirmed since, also where all replicas lose power together", v.Name, c.Every), howToSync}
	default:
		return Finding{"sync", OK, v.Name + " syncs before it confirms", ""}
	}
}

func (e *examination) get(ctx context.Context, url string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	t := e.Outbound.Own().Transport(outbound.Written, 5*time.Second)
	t.DisableKeepAlives = true
	res, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("it answered %s", res.Status)
	}
	return json.NewDecoder(io.LimitReader(res.Body, 4<<20)).Decode(into)
}

// clockWrong is by how much a clock may differ before it is said.
const clockWrong = time.Second

func (e *examination) clock(ctx context.Context) []Finding {
	const check = "clock"
	if e.rig != nil {
		return one(check, Unknown, "the server says its time with a stream, and there is none", "")
	}
	c, err := e.Bus.AskTime(ctx)
	if err != nil {
		return failed(check, err)
	}
	now := time.Now()
	least, most := now.Sub(c.Latest(now)), now.Sub(c.Earliest(now)) // the offset is between them
	off, unsure := (least+most)/2, (most-least)/2
	side := "ahead of"
	if off < 0 {
		side = "behind"
	}
	seen := fmt.Sprintf("this machine's clock is %s %s the server's, ± %s", off.Abs().Round(time.Millisecond), side, unsure.Round(time.Millisecond))
	if least > clockWrong || most < -clockWrong {
		return one(check, Warn, seen, "let both keep their time by NTP; deadlines and approvals go by the server's")
	}
	return one(check, OK, seen, "")
}

func (e *examination) rights(ctx context.Context) []Finding {
	const check = "permissions"
	var may, not, unknown []string
	all := map[string]bool{}
	for _, r := range e.Bus.Rights(ctx) {
		switch {
		case r.Unknown:
			unknown = append(unknown, r.Name)
		case r.May:
			may, all[r.Name] = append(may, r.Name), true
		default:
			not = append(not, r.Name)
		}
	}
	seen := "this connection may " + strings.Join(may, ", ")
	if len(may) == 0 {
		seen = "this connection may do nothing that was tried"
	}
	if len(not) > 0 {
		seen += "; it may not " + strings.Join(not, ", ")
	}
	if len(unknown) > 0 {
		seen += "; nobody has answered whether it may " + strings.Join(unknown, ", ")
	}
	switch {
	case !all[bus.RightRead] || !all[bus.RightConsume]:
		return one(check, Warn, seen, "who cannot read the log cannot look at runs; is this the right user?")
	}
	return one(check, OK, seen, "")
}

// account says whether this connection may do what nobody but the provisioner should.
func (e *examination) account(context.Context) []Finding {
	const check = "account"
	if e.Embedded || e.Bus.Embedded() {
		return nil // it asks nobody who they are
	}
	u := e.Bus.User()
	who := fmt.Sprintf("user %s, account %s", orUnnamed(u.Name), orUnnamed(u.Account))
	if !u.Known {
		return one(check, Unknown, "the server does not say what it lets this connection do", "allow it to publish to $SYS.REQ.USER.INFO")
	}
	if may := rights.Wide(e.Bus, rights.Dispatcher); len(may) > 0 {
		return one(check, Warn, fmt.Sprintf("whoever connects like this (%s) may also %s", who, strings.Join(may, "; ")),
			"right for the provisioner only: give each kind of program an account of its own (`dispatcher permissions`; `dispatcher docs permissions`)")
	}
	return one(check, OK, who+": no more than a dispatcher's work", "")
}

func orUnnamed(name string) string {
	if name == "" {
		return "(no name)"
	}
	return name
}
