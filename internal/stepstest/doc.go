// Package stepstest plays a dispatcher, workers and people against the pure core, for the tests of steps and view.
//
// [World] keeps a log and publishes what the core wants because of it; [Story] runs one that is told in commands, as the
// files in internal/steps/testdata are; [Plan] compiles plans whose expressions are in a small language of their own.
package stepstest
