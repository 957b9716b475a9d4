package dispatch

import (
	"encoding/json"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// largestReport is the size of the largest document that is reported. Who waits for a larger one reads the log.
const largestReport = 256 << 10

// report sends the document of a run that has ended to the program that waits for it, which spares it a read of the log.
// Whoever does not hear of it finds the end in the log.
func (p *partition) report(s *steps.State) {
	if s.ReportTo == "" || !s.Closed() {
		return
	}
	doc, err := json.Marshal(view.Show(s))
	if err == nil && len(doc) <= largestReport {
		err = p.Bus.Tell(p.names.Report(s.ReportTo, s.Run), doc)
	}
	if err != nil {
		p.logger.Debug("cannot report the end of a run; who waits for it reads the log", "run_id", s.Run, "error", err)
	}
}
