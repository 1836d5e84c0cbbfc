package main

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/swapinit/swapinit/test/load"
	"golang.org/x/sys/unix"
)

// line shows the numbers: on a terminal one line that is drawn over and over,
// otherwise a new line each second.
type line struct {
	terminal bool
	every    time.Duration
	begin    time.Time
}

func newLine() *line {
	_, err := unix.IoctlGetTermios(int(os.Stdout.Fd()), unix.TCGETS)
	l := &line{terminal: err == nil, every: time.Second, begin: time.Now()}
	if l.terminal {
		l.every = 100 * time.Millisecond
	}
	return l
}

func (l *line) draw(c load.Count) {
	text := fmt.Sprintf("%5.1f s  %7d requests  %d failed  %d swaps  slowest answer %v",
		time.Since(l.begin).Seconds(), c.Requests, c.Failed, swaps(c), c.Slowest.Round(time.Millisecond/10))
	if l.terminal {
		fmt.Print("\r\x1b[K" + text)
		return
	}
	fmt.Println(text)
}

// end leaves the last state standing.
func (l *line) end() {
	if l.terminal {
		fmt.Println()
	}
}

// answers counts the answers of each generation, which says its number.
func answers(c load.Count) map[int]int {
	all := map[int]int{}
	for body, n := range c.Bodies {
		var generation int
		if _, err := fmt.Sscanf(body, "generation %d", &generation); err == nil {
			all[generation] = n
		}
	}
	return all
}

// swaps is how often another generation has begun to answer.
func swaps(c load.Count) int { return max(0, len(answers(c))-1) }

// generations lists who answered how much.
func generations(c load.Count) []string {
	byNumber := answers(c)
	var numbers []int
	for n := range byNumber {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	var lines []string
	for _, n := range numbers {
		lines = append(lines, fmt.Sprintf("generation %d answered %d", n, byNumber[n]))
	}
	return lines
}
