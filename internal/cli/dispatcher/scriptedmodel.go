package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/scriptedmodel"
)

// scriptedModelCommand is for examples and tests, and does not show in the help of the program.
func (a *app) scriptedModelCommand() *cobra.Command {
	var script, listen string
	c := &cobra.Command{
		Use: "scripted-model", Short: "Serve a model that answers by a script", Args: cobra.NoArgs, Hidden: true,
		Long: "Speaks the protocols of model rungs, chat completions and messages, and answers what the script says, without a key and\n" +
			"without a network: docs/models.md has the form of a script. GET /books says how many calls and tokens it has counted.",
		Example: "  dispatcher scripted-model --script script.yaml --listen 127.0.0.1:8078",
		RunE:    func(c *cobra.Command, _ []string) error { return a.scriptedModel(c.Context(), script, listen) },
	}
	c.Flags().StringVar(&script, "script", "", "`file` that says what is answered")
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8078", "`address` where it is asked")
	return c
}

func (a *app) scriptedModel(ctx context.Context, file, listen string) error {
	if file == "" {
		return cli.WithCode(cli.ExitUsage, errors.New("name a script with --script"))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read script: %w", err)
	}
	script, err := scriptedmodel.Parse(file, data)
	if err != nil {
		return cli.WithCode(cli.ExitInvalid, err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen for calls of the model: %w", err)
	}
	s := &http.Server{Handler: scriptedmodel.New(script), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	fmt.Fprintf(a.Err, "scripted model at http://%s/v1\n", l.Addr())
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the model: %w", err)
	}
	return nil
}
