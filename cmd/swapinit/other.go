//go:build !linux

package main

import (
	"os"
	"runtime"
)

func main() {
	_, _ = os.Stderr.WriteString("swapinit: it is an init for Linux containers and does not run on " + runtime.GOOS + "\n")
	os.Exit(125)
}
