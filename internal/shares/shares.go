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

// Parse reads a number of percent as JSON has it, rounded to the unit. ok: it is one from
// 0 to 100. A float would do the same, and reading it is 14 KB of the binary.
func Parse(number string) (share int, ok bool) {
	digits, power := number, 0
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		n, err := strconv.Atoi(number[i+1:])
		if err != nil {
			return 0, false
		}
		digits, power = number[:i], n
	}
	whole, part, _ := strings.Cut(digits, ".")
	all := strings.TrimLeft(whole+part, "0")
	point := len(all) - len(part) + 2 + power // so many digits are before the point, of hundredths
	switch {
	case all == "" || point < 0:
		return 0, strings.Trim(all, "0123456789") == "" // 0, or next to nothing
	case point > len("10000"):
		return 0, false
	}
	all += "00000"
	n, err := strconv.ParseUint(all[:point]+"0", 10, 32)
	share, rest := int(n/10), all[point:]
	ok = err == nil && strings.Trim(rest, "0123456789") == "" && (share < Full || share == Full && strings.Trim(rest, "0") == "")
	if rest != "" && rest[0] >= '5' {
		share++
	}
	return share, ok
}
