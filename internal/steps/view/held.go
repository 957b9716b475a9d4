package view

import (
	"time"

	"belay/internal/steps"
)

// Held is what holds a step back, and since when.
type Held struct {
	steps.Hold
	From time.Time `json:"from"` // since when this step waits for that
}

// held is what holds unit i back; nil: nothing does.
func (s run) held(i int) *Held {
	h, from := s.Units[i].HeldBack()
	if h == nil {
		return nil
	}
	v := Held{Hold: *h, From: from.UTC()}
	v.Since, v.Until = v.Since.UTC(), v.Until.UTC()
	return &v
}

// Words say what holds a step back, and what ends that.
func (h *Held) Words(now time.Time) string {
	if h.Why.ByLimit() {
		return h.limitWords(now)
	}
	text := "held by gate " + h.Gate + " (" + h.Covers + "), closed by " + h.By + " at " + Clock(h.Since, now) + reasonOf(h.Reason)
	if !h.Until.IsZero() {
		return text + "; it opens by itself at " + Clock(h.Until, now) + ", or with `dispatcher gate open " + h.Gate + "`"
	}
	return text + "; open it with `dispatcher gate open " + h.Gate + "`"
}

// limitWords say it of a limit, which ends by itself.
func (h *Held) limitWords(now time.Time) string {
	text := h.Text() + ", since " + Clock(h.From, now)
	if h.Until.After(now) {
		text += "; until " + Clock(h.Until, now) + " at least"
	}
	return text + "; it goes on by itself"
}

func reasonOf(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// waitsForLimit fills in what unit i waits for that a limit holds back: at the longest until its budget is used up.
func (s run) waitsForLimit(i int, w *Wait, h *Held, now time.Time) {
	w.For, w.Why, w.Reason, w.Since, w.Until = ForLimit, h.Why, h.Reason, moment(h.From), moment(s.Units[i].Deadline)
	w.Text, w.Brief = h.Words(now), h.Text()
}

// waitsForGate fills in what unit i waits for that is held back.
func (s run) waitsForGate(w *Wait, h *Held, now time.Time) {
	w.For, w.Gate, w.By, w.Reason, w.Since, w.Until = ForGate, h.Gate, h.By, h.Reason, moment(h.From), moment(h.Until)
	w.Text, w.Brief = h.Words(now), h.Text()
}
