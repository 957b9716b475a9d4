package runlog

import (
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"belay/internal/steps/view"
)

// ear hears from dispatchers how runs have ended that were submitted with its token. What it hears may be lost; then the log
// says it. It listens once somebody waits for an end, and submissions carry its token as long as somebody does.
type ear struct {
	log   *Log
	token string
	rouse func(run string) // called when the end of a run was heard

	mu     sync.Mutex
	closed bool
	stop   func()    // ends the subscription; nil before it begins
	waited time.Time // when somebody last waited for an end
	missed int       // ends of which nothing was heard since the last one that was
	docs   map[string][]byte
	order  []string // of the keys of docs, the oldest first; some may be gone
	bytes  int      // of docs
}

const (
	waitsStill = time.Minute            // after a wait: then submissions carry no token any more
	reportTime = 250 * time.Millisecond // how long after an end its document may come
	missesMost = 8                      // ends without a document; then nobody waits for one until one comes again
	docsMost   = 32 << 20               // bytes of documents that nobody has asked for yet
)

func newEar(l *Log, rouse func(string)) *ear {
	return &ear{log: l, token: uuid.NewString(), rouse: rouse, docs: map[string][]byte{}}
}

// listen begins to listen, if it does not yet.
func (e *ear) listen() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waited = time.Now()
	if e.stop != nil || e.closed {
		return
	}
	stop, err := e.log.bus.Hear(e.log.names.Report(e.token, "*"), func(subject string, doc []byte) {
		if _, run, ok := e.log.names.ParseReport(subject); ok {
			e.heard(run, doc)
		}
	})
	if err == nil { // otherwise logs say everything
		e.stop = stop
	}
}

func (e *ear) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed = true; e.stop != nil {
		e.stop()
	}
}

// ask is the token for a submission; empty when nobody has waited for an end lately.
func (e *ear) ask() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stop == nil || time.Since(e.waited) > waitsStill {
		return ""
	}
	return e.token
}

func (e *ear) heard(run string, doc []byte) {
	e.mu.Lock()
	e.missed = 0
	if _, known := e.docs[run]; !known {
		e.docs[run], e.order = doc, append(e.order, run)
		e.bytes += len(doc)
	}
	for e.bytes > docsMost {
		oldest := e.order[0]
		e.order = e.order[1:]
		e.bytes -= len(e.docs[oldest])
		delete(e.docs, oldest)
	}
	if len(e.order) > 2*len(e.docs)+64 {
		e.order = slices.DeleteFunc(e.order, func(run string) bool { return e.docs[run] == nil })
	}
	e.mu.Unlock()
	e.rouse(run)
}

// take gives the document of a run that has ended, if it was heard.
func (e *ear) take(run string) (d view.Document, ok bool) {
	e.mu.Lock()
	doc, ok := e.docs[run]
	delete(e.docs, run)
	e.bytes -= len(doc)
	e.mu.Unlock()
	if ok {
		d, ok = readReport(doc)
	}
	return d, ok
}

// patience is how long after the end of a run its document is waited for.
func (e *ear) patience() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.missed >= missesMost {
		return 0
	}
	return reportTime
}

// miss notes that nothing was heard of an end.
func (e *ear) miss() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.missed++
}
