package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// progress is a line on stderr that says what is going on; on a terminal only.
type progress struct{ terminal bool }

func newProgress() *progress {
	_, err := unix.IoctlGetTermios(int(os.Stderr.Fd()), unix.TCGETS)
	return &progress{err == nil}
}

func (p *progress) show(what string, done, of int) {
	switch {
	case !p.terminal:
	case of == 0:
		fmt.Fprintf(os.Stderr, "\r\x1b[K%s ...", what)
	default:
		fmt.Fprintf(os.Stderr, "\r\x1b[K%s %d/%d", what, done, of)
	}
}

func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}
