// Package config turns the environment and the command line of swapinit into
// one checked value, Settings, before anything is started.
//
// There is one table, Settings.each: it has each variable's name, default, accepted
// values and help, and the field for its value. The parser reads that table, the
// error messages quote it, and the table of docs/environment.md is rendered from it.
//
// The package reads no file, opens nothing and knows no sibling: the texts of
// files (SWAPINIT_ENV_FILE, SWAPINIT_TARGET_FILE) come in as bytes, and what
// other packages define (signals, endpoints, readiness) comes in as Parsers.
//
// Every error is one line without control characters and of bounded length:
// it is made from input that may be hostile, and is printed to a terminal.
package config
