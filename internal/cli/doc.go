// Package cli is what the command lines of the two programs share: global flags, settings, exit codes, printing,
// signals and logs. The commands are in cli/dispatcher and cli/worker, which import this package and not each other.
//
// Data goes to stdout; with -o json everything else goes to stderr. The exit codes in exit.go are a contract with
// scripts.
package cli
