package view

import "belay/internal/steps"

// MigratedText says which run goes on as s, and with how much taken over; empty = none.
func MigratedText(s *steps.State) string {
	if s.Migrates == nil {
		return ""
	}
	return "goes on from " + s.Migrates.Run + " under another plan, with " + count(s.CarriedOver(), "result", "results") + " taken over"
}
