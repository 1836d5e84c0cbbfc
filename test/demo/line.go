package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/swapinit/swapinit/test/load"
	"golang.org/x/sys/unix"
)

// screen is standard output: on a terminal one line is drawn over and over, in colour;
// otherwise there is a new line each second.
type screen struct {
	terminal bool
	color    bool
}

func newScreen() screen {
	_, err := unix.IoctlGetTermios(int(os.Stdout.Fd()), unix.TCGETS)
	s := screen{terminal: err == nil && os.Getenv("TERM") != "dumb"}
	s.color = s.terminal && os.Getenv("NO_COLOR") == ""
	return s
}

// every is the time from one line to the next.
func (s screen) every() time.Duration {
	if s.terminal {
		return 100 * time.Millisecond
	}
	return time.Second
}

// failures paints text about n of them: red, or green where there are none.
func (s screen) failures(text string, n int) string {
	switch {
	case !s.color:
		return text
	case n > 0:
		return "\x1b[31m" + text + "\x1b[0m"
	}
	return "\x1b[32m" + text + "\x1b[0m"
}

// live draws the numbers of a round; deploys is the word for what happens in it.
func (s screen) live(since time.Time, c load.Count, deploys string) {
	text := fmt.Sprintf("%5.1f s  %7d requests  %s  %d %s  slowest answer %v", time.Since(since).Seconds(), c.Requests,
		s.failures(fmt.Sprintf("%d failed", c.Failed), c.Failed), swaps(c), deploys, milliseconds(c.Slowest))
	if s.terminal {
		fmt.Print("\r\x1b[K" + text)
		return
	}
	fmt.Println(text)
}

// end leaves the last state standing.
func (s screen) end() {
	if s.terminal {
		fmt.Println()
	}
}

// table compares the rounds.
func (s screen) table(rounds []result) {
	fmt.Printf("\n%-24s%9s%10s%8s%16s\n", "", "deploys", "requests", "failed", "slowest answer")
	for _, r := range rounds {
		failed := s.failures(fmt.Sprintf("%8d", r.count.Failed), r.count.Failed)
		fmt.Printf("%-24s%9d%10d%s%16v\n", r.way.name, swaps(r.count), r.count.Requests, failed, milliseconds(r.count.Slowest))
	}
}

func milliseconds(d time.Duration) time.Duration { return d.Round(time.Millisecond / 10) }

// swaps is how often another generation has begun to answer: an answer has its number.
func swaps(c load.Count) int {
	n := 0
	for body := range c.Bodies {
		if strings.HasPrefix(body, "generation ") {
			n++
		}
	}
	return max(0, n-1)
}
