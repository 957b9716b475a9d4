package runlog

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/steps"
)

// An archive is a file of ended runs, one JSON document per line: a head, then of each run its entries, as they are in the log, and a line
// that says how many they are and has their digest, and at last a line with the number of runs and the digest of all before it. A
// file without that line is not whole.

// Archived is a line of an archive; exactly one of its fields is there.
type Archived struct {
	Head  *ArchiveHead  `json:"archive,omitempty"`
	Entry *ArchiveEntry `json:"entry,omitempty"`
	Run   *ArchiveRun   `json:"run,omitempty"`
	End   *ArchiveEnd   `json:"end,omitempty"`
}

// ArchiveHead is the first line.
type ArchiveHead struct {
	V      int       `json:"v"`      // 1
	Prefix string    `json:"prefix"` // of the installation
	Made   time.Time `json:"made"`   // by the log's clock
	Where  string    `json:"where"`  // the query that found the runs
}

// ArchiveEntry is an entry of a run's log.
type ArchiveEntry struct {
	Exported
	Header map[string][]string `json:"header,omitempty"` // as it was published
}

// ArchiveRun stands behind the entries of a run.
type ArchiveRun struct {
	ID       string         `json:"id"`
	Workflow string         `json:"workflow"`
	State    steps.RunState `json:"state"`
	Started  time.Time      `json:"started"`
	Ended    time.Time      `json:"ended"`
	Entries  int            `json:"entries"`
	SHA256   string         `json:"sha256"` // of the lines of its entries
}

// ArchiveEnd is the last line.
type ArchiveEnd struct {
	Runs    int    `json:"runs"`
	Entries int    `json:"entries"`
	SHA256  string `json:"sha256"` // of all lines before it
}

// ErrDamaged says that an archive is not what was written.
var ErrDamaged = errors.New("the archive is damaged")

const archiveVersion = 1

// archive is one that is being written.
type archive struct {
	to   io.Writer
	all  hash.Hash
	run  hash.Hash
	ends ArchiveEnd
}

func newArchive(to io.Writer) *archive { return &archive{to: to, all: sha256.New(), run: sha256.New()} }

// Archive writes the ended runs that a filter finds, the newest first, whole. A run that is removed meanwhile is left out.
func (l *Log) Archive(ctx context.Context, f Filter, w io.Writer) (ArchiveEnd, error) {
	a := newArchive(w)
	if err := a.line(Archived{Head: &ArchiveHead{V: archiveVersion, Prefix: l.names.Prefix, Made: l.bus.Now().UTC(), Where: f.Query()}}); err != nil {
		return a.ends, err
	}
	for f.Limit = mostReads; ; {
		page, err := l.List(ctx, f)
		if err != nil {
			return a.ends, err
		}
		if page.Short != "" {
			return a.ends, errors.New(page.Short + ": archive once a dispatcher runs")
		}
		for _, s := range page.Items {
			if s.Ended == nil || !s.State.Ended() {
				continue
			}
			if err := l.archiveRun(ctx, a, s); err != nil {
				return a.ends, fmt.Errorf("archive run %s: %w", s.ID, err)
			}
		}
		if f.After = page.Next; f.After == "" {
			a.ends.SHA256 = hex.EncodeToString(a.all.Sum(nil))
			return a.ends, a.line(Archived{End: &a.ends})
		}
	}
}

func (l *Log) archiveRun(ctx context.Context, a *archive, s Summary) error {
	entries, err := l.bus.ReadLog(ctx, s.ID, 0)
	if err != nil || len(entries) == 0 {
		return err
	}
	sum, err := a.entries(entries)
	if err != nil {
		return err
	}
	a.ends.Runs, a.ends.Entries = a.ends.Runs+1, a.ends.Entries+len(entries)
	return a.line(Archived{Run: &ArchiveRun{
		ID: s.ID, Workflow: s.Workflow, State: s.State, Started: s.Started, Ended: *s.Ended, Entries: len(entries), SHA256: sum,
	}})
}

// entries writes those of a run, and returns the digest of their lines.
func (a *archive) entries(list []bus.Entry) (digest string, err error) {
	a.run.Reset()
	for _, e := range list {
		if err := a.line(Archived{Entry: &ArchiveEntry{Exported: exported(e), Header: e.Header}}); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(a.run.Sum(nil)), nil
}

func (a *archive) line(v Archived) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, _ = a.all.Write(b.Bytes()) // a hash takes everything
	_, _ = a.run.Write(b.Bytes())
	_, err := a.to.Write(b.Bytes())
	return err
}

// ReadArchive reads an archive to its end and checks everything that it says of itself. F is called with each run once its entries
// are known to be whole, and their lines as [Log.Export] writes them, with their headers; nil = nobody is told. What is wrong is an
// [ErrDamaged].
func ReadArchive(r io.Reader, f func(run ArchiveRun, lines []byte) error) (head ArchiveHead, end ArchiveEnd, err error) {
	in := bufio.NewReaderSize(r, 1<<20)
	a := &archiveReader{archive: *newArchive(nil), tell: f}
	for n := 1; ; n++ {
		raw, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return a.head, end, fmt.Errorf("%w: it ends at line %d, before its last line", ErrDamaged, n)
		}
		if err != nil {
			return a.head, end, err
		}
		last, err := a.take(n, raw)
		if err != nil {
			return a.head, end, err
		}
		if !last {
			continue
		}
		if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
			return a.head, end, fmt.Errorf("%w: there is something behind its last line", ErrDamaged)
		}
		return a.head, a.ends, nil
	}
}

// archiveReader is an archive that is being read.
type archiveReader struct {
	archive
	tell    func(ArchiveRun, []byte) error
	head    ArchiveHead
	lines   bytes.Buffer // of the run that has begun
	entries int          // of it
}

// take reads the nth line; last is true for the end.
func (a *archiveReader) take(n int, raw []byte) (last bool, err error) {
	var v Archived
	if exactjson.Unmarshal(raw, &v) != nil {
		return false, fmt.Errorf("%w: line %d cannot be read", ErrDamaged, n)
	}
	before := hex.EncodeToString(a.all.Sum(nil))
	_, _ = a.all.Write(raw)
	switch {
	case n == 1 && v.Head != nil && v.Head.V == archiveVersion:
		a.head = *v.Head
	case n == 1:
		return false, fmt.Errorf("%w: it does not begin as an archive does, or is of another version", ErrDamaged)
	case v.Entry != nil:
		return false, a.entry(v.Entry, raw)
	case v.Run != nil:
		return false, a.closeRun(n, *v.Run)
	case v.End != nil:
		if a.ends.SHA256 = before; *v.End != a.ends || a.entries > 0 {
			return false, fmt.Errorf("%w: its last line says %d runs and %d entries, and it has %d and %d, or other ones", ErrDamaged, v.End.Runs, v.End.Entries, a.ends.Runs, a.ends.Entries)
		}
		return true, nil
	default:
		return false, fmt.Errorf("%w: line %d is nothing that an archive has", ErrDamaged, n)
	}
	return false, nil
}

func (a *archiveReader) entry(e *ArchiveEntry, raw []byte) error {
	line, err := json.Marshal(e)
	a.entries++
	_, _ = a.lines.Write(append(line, '\n'))
	_, _ = a.run.Write(raw)
	return err
}

func (a *archiveReader) closeRun(n int, run ArchiveRun) error {
	if run.Entries != a.entries || run.SHA256 != hex.EncodeToString(a.run.Sum(nil)) {
		return fmt.Errorf("%w: the entries of run %s are not what they were (line %d)", ErrDamaged, run.ID, n)
	}
	if a.tell != nil {
		if err := a.tell(run, a.lines.Bytes()); err != nil {
			return err
		}
	}
	a.ends.Runs, a.ends.Entries, a.entries = a.ends.Runs+1, a.ends.Entries+a.entries, 0
	a.lines.Reset()
	a.run.Reset()
	return nil
}

// exported is an entry as it is written out.
func exported(e bus.Entry) Exported {
	x := Exported{Seq: e.Seq, Time: e.Time.UTC(), Subject: e.Subject}
	if steps.Depth(e.Data) < deepest && json.Valid(e.Data) {
		x.Event = e.Data
	} else {
		x.Raw = e.Data
	}
	return x
}
