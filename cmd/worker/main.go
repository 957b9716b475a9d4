// Command worker is the stock worker: it executes the steps of every tool in its tools file that needs no Go code.
package main

import (
	"context"
	"os"

	"belay/internal/cli"
	"belay/internal/cli/worker"
)

func main() {
	os.Exit(worker.Run(context.Background(), os.Args[1:], cli.System(), nil))
}
