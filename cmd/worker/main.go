// Command worker is the stock worker: it executes the steps of every tool in its tools file that needs no Go code.
package main

import (
	"context"
	"os"

	"belay/internal/cli"
)

func main() {
	os.Exit(cli.Worker(context.Background(), os.Args[1:], cli.System()))
}
