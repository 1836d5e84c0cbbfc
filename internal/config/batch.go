package config

import (
	"strconv"
	"strings"
)

// Batch is the value of SWAPINIT_BATCH: all, a number from 1, or a percentage
// from 1% to 100%.
type Batch string

// Of is how many of so many workers are replaced at a time: a percentage is
// rounded down, and it is never less than 1 nor more than all of them.
func (b Batch) Of(workers int) int {
	n, percent := b.read()
	if n < 1 {
		n = workers
	} else if percent {
		n = workers * n / 100
	}
	return max(1, min(n, workers))
}

// read is the number in it: 0 for all, -1 for what is no batch.
func (b Batch) read() (n int, percent bool) {
	if b == "all" {
		return 0, false
	}
	digits, percent := strings.CutSuffix(string(b), "%")
	u, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || u == 0 || percent && u > 100 {
		return -1, false
	}
	return int(u), percent
}
