package cli

import (
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes a program's manual pages, made from the same texts as its help.
func (a *App) manCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages of all commands into a directory", Args: cobra.ExactArgs(1),
		Long:    "Writes a page of section 1 for each command, for `man`. The directory is made if it does not exist.",
		Example: "  " + root.Name() + " man /usr/local/share/man/man1",
		RunE:    func(_ *cobra.Command, args []string) error { return a.writeMan(root, args[0]) },
	}
}

// built is the time of the commit that this program was made from; nil, which is today or SOURCE_DATE_EPOCH, where it does not know.
func built() *time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, s := range info.Settings {
		if at, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
			return &at
		}
	}
	return nil
}

func (a *App) writeMan(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of the manual pages: %w", err)
	}
	root.DisableAutoGenTag = true // pages of the same version are the same
	header := &doc.GenManHeader{Section: "1", Source: "belay " + Version, Manual: "Belay", Date: built()}
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("write the manual pages to %s: %w", dir, err)
	}
	fmt.Fprintln(a.Err, "the manual pages are in", dir)
	return nil
}
