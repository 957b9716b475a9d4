package approval

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
)

// How often [Pins] look at what is published: until there is a first key, and after that. An approval by a key that is not known
// has them look at once.
const (
	firstLook = time.Second
	laterLook = 15 * time.Second
)

// firstContact is for how long after the first key others are pinned with it: the dispatchers of an installation start at about
// the same time, and each has a key of its own. It is of one process, so a worker that is started again has no such time.
const firstContact = 2 * time.Minute

// Pins are the keys that a worker trusts that was given none: the first that it found published, kept in a file, and those for
// which they have vouched since. Whoever can write to the bucket of keys can put another one there; it approves nothing here.
// They are safe for concurrent use. Several workers may share the file.
type Pins struct {
	published *Published
	file      string
	about     string // what the file is about, for people
	own       *Signer
	logger    *slog.Logger

	mu      sync.Mutex
	kept    pinFile              // what the file has
	heard   map[string]PublicKey // trusted without being in the file, because it could not be written
	foreign map[string]PublicKey // published, and not to be trusted
	until   time.Time            // end of the first contact; zero: the keys were pinned by an earlier process, or none is yet
}

// PinOptions say where [Pins] are kept.
type PinOptions struct {
	File   string       // where they are kept; its folder is made if it does not exist
	About  string       // what they are of, for whoever reads the file: a server, for example
	Own    *Signer      // of the same process: its key is the first that is pinned; nil = it is whatever is published first
	Logger *slog.Logger // nil = nothing is logged
}

// OpenPins reads the file, and checks that it can be written. An error says that there is no place for the keys.
func OpenPins(b *bus.Bus, o PinOptions) (*Pins, error) {
	p := &Pins{
		file: o.File, about: o.About, own: o.Own, logger: o.Logger, heard: map[string]PublicKey{}, foreign: map[string]PublicKey{},
		published: &Published{now: b.Now, open: func(ctx context.Context) (*bus.Bucket, error) {
			return b.BucketIfThere(ctx, b.Names().KeysBucket())
		}},
	}
	if p.logger == nil {
		p.logger = slog.New(slog.DiscardHandler)
	}
	if err := place(p.file); err != nil {
		return nil, err
	}
	return p, p.kept.read(p.file)
}

// Run looks at what is published again and again until ctx ends, so that the first key is pinned as soon as there is one, and a
// key that nobody vouches for is told before it approves anything.
func (p *Pins) Run(ctx context.Context) error {
	for {
		wait := firstLook
		if err := p.look(ctx); err != nil {
			p.logger.Debug("cannot look at the published keys now", "error", err)
		} else if pinned, _ := p.Pins(); len(pinned) > 0 {
			wait = laterLook
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// Pins are the ids of the keys that are trusted, and the published keys that are not.
func (p *Pins) Pins() (pinned []string, foreign []bus.ForeignKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(p.foreign)) {
		foreign = append(foreign, bus.ForeignKey{ID: id, Host: p.foreign[id].Host})
	}
	return slices.Sorted(maps.Keys(p.trusted())), foreign
}

// Keys are those that are trusted.
func (p *Pins) Keys() (keys []ed25519.PublicKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.trusted() {
		keys = append(keys, k.Key)
	}
	return keys
}

// trusted are all keys that are; p.mu is held.
func (p *Pins) trusted() map[string]PublicKey {
	all := maps.Clone(p.heard)
	maps.Copy(all, p.kept.keys)
	if p.own != nil {
		if k, err := p.own.Public(); err == nil {
			all[k.ID] = k
		}
	}
	return all
}

// Check returns nil if a key that is trusted has signed g, and is published and not revoked.
func (p *Pins) Check(ctx context.Context, g steps.Grant) error {
	k, ok, err := p.find(ctx, g.Key)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("its key %.16s is not one that this worker has pinned, and none of those vouches for it; `dispatcher doctor` says what to do", g.Key)
	}
	switch _, good, err := p.published.find(ctx, g.Key); {
	case err != nil:
		return err
	case !good:
		return fmt.Errorf("its key %.16s is revoked, or published no more", g.Key)
	}
	return k.check(g)
}

// find returns a key that is trusted, by what is published now if it is not known.
func (p *Pins) find(ctx context.Context, id string) (PublicKey, bool, error) {
	k, ok := p.have(id)
	if ok {
		return k, true, nil
	}
	if err := p.look(ctx); err != nil {
		return k, false, err
	}
	k, ok = p.have(id)
	return k, ok, nil
}

func (p *Pins) have(id string) (PublicKey, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.kept.read(p.file); err != nil {
		p.logger.Error("the pinned keys cannot be read; those that were read before count", "error", err)
	}
	k, ok := p.trusted()[id]
	return k, ok
}

// look reads what is published, trusts what is vouched for, and tells what is not.
func (p *Pins) look(ctx context.Context) error {
	all, err := p.published.List(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.kept.read(p.file); err != nil {
		return err
	}
	more, err := p.mine()
	if err != nil {
		return err
	}
	now := time.Now()
	trusted := p.trusted()
	first := len(p.kept.keys) == 0 && len(p.heard) == 0 // the file is new
	if more = append(more, chained(trusted, all)...); p.own == nil && (first || now.Before(p.until)) {
		more = slices.DeleteFunc(slices.Clone(all), func(k PublicKey) bool { _, ok := trusted[k.ID]; return ok || !k.Revoked.IsZero() })
	}
	if p.own == nil && first && len(more) > 0 {
		p.until = now.Add(firstContact)
	}
	p.keep(more, first)
	p.tell(all)
	return nil
}

// mine is the key of this process, if it is not pinned yet: it goes on counting when it is rotated.
func (p *Pins) mine() ([]PublicKey, error) {
	if p.own == nil {
		return nil, nil
	}
	k, err := p.own.Public()
	if err != nil || p.kept.keys[k.ID].ID != "" || p.heard[k.ID].ID != "" {
		return nil, err
	}
	return []PublicKey{k}, nil
}

// chained are the keys that those that are trusted vouch for, directly or through others. A key that is revoked vouches for
// nothing any more: whoever has stolen it could have it vouch for their own.
func chained(trusted map[string]PublicKey, all []PublicKey) (more []PublicKey) {
	good := map[string]PublicKey{}
	for _, k := range all {
		if _, ok := trusted[k.ID]; ok && k.Revoked.IsZero() {
			good[k.ID] = k
		}
	}
	for grown := true; grown; {
		grown = false
		for _, k := range all {
			_, known := good[k.ID]
			if known || !k.Revoked.IsZero() || trusted[k.ID].ID != "" || !vouchedByAny(k, good) {
				continue
			}
			good[k.ID] = k
			more, grown = append(more, k), true
		}
	}
	return more
}

func vouchedByAny(k PublicKey, good map[string]PublicKey) bool {
	for _, v := range k.Vouched {
		if by, ok := good[v.By]; ok && k.vouchedBy(by) {
			return true
		}
	}
	return false
}

// keep pins keys. Those that cannot be written count as long as this process runs.
func (p *Pins) keep(more []PublicKey, first bool) {
	if len(more) == 0 {
		return
	}
	for _, k := range more {
		p.logger.Info("pinned a key that signs approvals", "key", k.ID, "host", k.Host, "file", p.file, "because", p.why(k, first))
	}
	if err := p.kept.add(p.file, p.about, more, first); err != nil {
		for _, k := range more {
			p.heard[k.ID] = k
		}
		p.logger.Error("the pinned keys cannot be written; they count until this program ends", "error", err)
	}
}

// why says why a key is trusted.
func (p *Pins) why(k PublicKey, first bool) string {
	_, own := p.trusted()[k.ID]
	switch {
	case own:
		return "it is this program's own"
	case first:
		return "it is the first that was found"
	case time.Now().Before(p.until):
		return "it was published soon after the first"
	}
	return "a key that is trusted vouches for it"
}

// tell notes which keys are published that are not to be trusted, and logs each once.
func (p *Pins) tell(all []PublicKey) {
	trusted, foreign := p.trusted(), map[string]PublicKey{}
	for _, k := range all {
		if _, ok := trusted[k.ID]; ok || !k.Revoked.IsZero() {
			continue
		}
		foreign[k.ID] = k
		if _, known := p.foreign[k.ID]; !known {
			p.logger.Error("a key is published that no pinned key vouches for; nothing that it signs is executed here", "key", k.ID, "host", k.Host, "made", k.Made,
				"do", "if a dispatcher of yours signs with it: dispatcher keys vouch "+k.ID+"; if not: dispatcher keys revoke "+k.ID+", and look at who may write to that bucket")
		}
	}
	p.foreign = foreign
}
