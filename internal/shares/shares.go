// Package shares has the unit in which the new connections are divided among
// generations: hundredths of a percent.
package shares

import (
	"strconv"
	"strings"
)

// Full is all of the new connections.
const Full = 10000

// Percent writes a share as a number of percent without trailing zeros: Full is
// 100, 50 is 0.5.
func Percent(share int) string {
	s := strconv.Itoa(share / 100)
	if part := share % 100; part > 0 {
		s += "." + strings.TrimSuffix(strconv.Itoa(100 + part)[1:], "0")
	}
	return s
}
