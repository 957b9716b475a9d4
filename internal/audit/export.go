package audit

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"belay/internal/exactjson"
)

// exported is one line of an export.
type exported struct {
	Type       string              `json:"type"` // header, record or checkpoint
	Version    int                 `json:"version,omitempty"`
	Origin     string              `json:"origin,omitempty"`
	Keys       []ed25519.PublicKey `json:"keys,omitempty"` // that signed the checkpoints, according to the exporter
	Record     json.RawMessage     `json:"record,omitempty"`
	Checkpoint string              `json:"checkpoint,omitempty"`
}

// Export writes a trail as lines of JSON: a header, all records byte for byte as they are stored, and all checkpoints.
func Export(w io.Writer, t Trail, keys []ed25519.PublicKey) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	lines := []exported{{Type: "header", Version: 1, Origin: t.Origin, Keys: keys}}
	for _, r := range t.Records {
		if !json.Valid(r) {
			continue // no record; somebody else has published it
		}
		lines = append(lines, exported{Type: "record", Record: r})
	}
	for _, c := range t.Checkpoints {
		lines = append(lines, exported{Type: "checkpoint", Checkpoint: c})
	}
	for _, line := range lines {
		if err := enc.Encode(line); err != nil {
			return fmt.Errorf("export the audit trail: %w", err)
		}
	}
	return nil
}

// Import reads what [Export] wrote. The keys are only the exporter's claim: to check the trail, use keys from elsewhere.
func Import(r io.Reader) (Trail, []ed25519.PublicKey, error) {
	var t Trail
	var keys []ed25519.PublicKey
	d := json.NewDecoder(r)
	for n := 1; ; n++ {
		var line exported
		var raw json.RawMessage
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) && n > 1 {
			return t, keys, nil
		}
		if err == nil {
			err = exactjson.Unmarshal(raw, &line)
		}
		if err != nil {
			return t, keys, fmt.Errorf("exported audit trail, entry %d: %w", n, err)
		}
		switch {
		case n == 1 && (line.Type != "header" || line.Version != 1):
			return t, keys, errors.New("this is not an audit trail that this version exported: the header line is missing")
		case n == 1:
			t.Origin, keys = line.Origin, line.Keys
		case line.Type == "record":
			t.Records = append(t.Records, line.Record)
		case line.Type == "checkpoint":
			t.Checkpoints = append(t.Checkpoints, line.Checkpoint)
		default:
			return t, keys, fmt.Errorf("exported audit trail, entry %d: unknown type %.40q", n, line.Type)
		}
	}
}

// separator stands between the checkpoints in a file.
const separator = "\n---\n"

// Keep appends a checkpoint to a file outside the store, so that a trail that was cut or rewritten is found out.
func Keep(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keep a checkpoint: %w", err)
	}
	_, err = f.WriteString(text + separator)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keep a checkpoint: %w", err)
	}
	return nil
}

// Kept reads the checkpoints in a file: as [Keep] and a [Witness] write it, or lines of JSON as a receiver of webhooks has stored them, or
// as [Export] writes them.
func Kept(path string) ([]string, error) {
	all, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(all), []byte("{")) {
		return received(path, all)
	}
	var list []string
	for _, text := range strings.Split(string(all), separator) {
		if strings.TrimSpace(text) != "" && !strings.HasPrefix(text, remark) {
			list = append(list, text)
		}
	}
	return list, nil
}

// remark begins what stands between checkpoints in a file and is none.
const remark = "# "

// keptIfThere is Kept of a file that may not be there yet; an empty path is none.
func keptIfThere(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	all, err := Kept(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return all, err
}

// received reads JSON documents with checkpoints: events of a webhook, or an export.
func received(path string, all []byte) (list []string, err error) {
	d := json.NewDecoder(bytes.NewReader(all))
	for n := 1; ; n++ {
		var doc struct {
			Checkpoint string `json:"checkpoint"`
			Data       struct {
				Checkpoint string `json:"checkpoint"`
			} `json:"data"`
		}
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("checkpoints in %s, document %d: %w", path, n, err)
		}
		if text := cmp.Or(doc.Checkpoint, doc.Data.Checkpoint); text != "" {
			list = append(list, text)
		}
	}
}
