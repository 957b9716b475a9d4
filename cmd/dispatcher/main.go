// Command dispatcher submits plans, moves their runs on, and lets people watch and decide. `dispatcher help` lists the
// commands, `dispatcher help exit-codes` what programs can rely on.
package main

import (
	"context"
	"os"

	"belay/internal/cli"
	"belay/internal/cli/dispatcher"
)

func main() {
	os.Exit(dispatcher.Run(context.Background(), os.Args[1:], cli.System()))
}
