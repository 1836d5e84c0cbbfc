//go:build !linux

package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr, "swapinit: it is an init for Linux containers and does not run on %s\n", runtime.GOOS)
	os.Exit(125)
}
