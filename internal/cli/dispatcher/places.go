package dispatcher

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"belay/internal/audit"
	"belay/internal/cli"
	"belay/internal/notify"
)

// places are where checkpoints of the audit trail are put, beside the state directory.
func (a *app) places(f cli.DispatchFlags) (places []*audit.Place, err error) {
	if f.Checkpoints != "" {
		if err := writable(f.Checkpoints); err != nil {
			return nil, cli.WithCode(cli.ExitConfig, fmt.Errorf("--checkpoints-to: %w", err))
		}
		places = append(places, audit.FilePlace(f.Checkpoints))
	}
	if f.CheckpointsWebhook == "" {
		return places, nil
	}
	post, err := notify.CheckpointPoster(f.CheckpointsWebhook, f.CheckpointsSecret, a.Outbound().Own())
	if err != nil {
		return nil, cli.WithCode(cli.ExitConfig, fmt.Errorf("--checkpoints-webhook: %w", err))
	}
	return append(places, &audit.Place{Name: "webhook", Put: post}), nil
}

// writable says why checkpoints cannot be appended to a file. Its folder is not made: where a disk is not mounted, it is not there.
func writable(path string) error {
	if _, err := audit.Kept(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	info, err := os.Stat(filepath.Dir(path))
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("%w; make the directory, or mount its disk", err)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}
