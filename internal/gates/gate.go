package gates

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/steps"
)

// Gate holds calls back while it is closed.
type Gate struct {
	ID     string    `json:"id"`               // names it in logs, on pages and in commands
	Covers Covers    `json:"covers"`           // which calls
	By     string    `json:"by"`               // who has closed it
	Via    string    `json:"via,omitempty"`    // the way in: cli, console, api
	Reason string    `json:"reason"`           // in that person's words
	Since  time.Time `json:"since"`            // when it was closed
	Until  time.Time `json:"until,omitzero"`   // when it opens by itself; zero = a person opens it
	Opened *Opening  `json:"opened,omitempty"` // null while it is closed
}

// Opening says who has opened a gate, and why.
type Opening struct {
	By     string    `json:"by,omitempty"`     // empty: its time was up
	Via    string    `json:"via,omitempty"`    // the way in
	Reason string    `json:"reason,omitempty"` // in that person's words
	At     time.Time `json:"at"`               // when
}

// Closed reports whether it holds calls back.
func (g *Gate) Closed() bool { return g.Opened == nil }

// NewID makes a gate's name.
func NewID() string {
	var raw [4]byte
	rand.Read(raw[:]) // never fails
	return "g" + hex.EncodeToString(raw[:])
}

// Longest is how far away the time may be at which a gate opens by itself.
const Longest = 366 * 24 * time.Hour

// Check says what is wrong with a gate, by the names of its settings; nil = nothing.
func (g *Gate) Check() error {
	switch {
	case strings.TrimSpace(g.Reason) == "":
		return errors.New("reason is missing: say why, it is shown on every run that is held back")
	case len(g.Reason) > mostText || len(g.By) > mostText:
		return fmt.Errorf("reason: at most %d bytes, because it stands in the log of every run", mostText)
	case g.ID == "" || len(g.ID) > 64 || strings.ContainsFunc(g.ID, func(r rune) bool { return !strings.ContainsRune(inNames, r) }):
		return fmt.Errorf("id %q: inNames, digits, - and _, at most 64", g.ID)
	case !g.Until.IsZero() && !g.Until.After(g.Since):
		return errors.New("for: must be longer than nothing, like 30m")
	case g.Until.Sub(g.Since) > Longest:
		return errors.New("for: at most a year; without it, a person opens the gate")
	}
	return g.Covers.Check()
}

const inNames = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// Hold is what the log of a run says of a gate that holds it back.
func (g *Gate) Hold() steps.Hold {
	return steps.Hold{Why: steps.HoldGate, Gate: g.ID, Covers: g.Covers.String(), By: g.By, Reason: g.Reason, Since: g.Since, Until: g.Until}
}

// OfHold makes a gate of what the log of a run says of it.
func OfHold(h steps.Hold) (Gate, error) {
	c, err := ParseCovers(h.Covers)
	g := Gate{ID: h.Gate, Covers: c, By: h.By, Reason: h.Reason, Since: h.Since, Until: h.Until}
	if err == nil {
		err = g.Check()
	}
	return g, err
}

// sorted puts closed gates first, and of these and of the others the newest first.
func sorted(all []Gate) []Gate {
	slices.SortFunc(all, func(a, b Gate) int {
		switch {
		case a.Closed() != b.Closed() && a.Closed():
			return -1
		case a.Closed() != b.Closed():
			return 1
		case !a.Since.Equal(b.Since):
			return b.Since.Compare(a.Since)
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}
