package config

import "strings"

// maxCompared bounds what is compared: no name of ours is nearly that long.
const maxCompared = 64

// nearest returns the known name that takes the fewest edits to get from name,
// the first of several, and whether it is near enough for a typing error.
func nearest(name string, known []setting) (best string, near bool) {
	typed := strings.ToUpper(strings.TrimPrefix(cut(name), Prefix))
	least := -1
	for i := range known {
		want := strings.TrimPrefix(known[i].Name, Prefix)
		if d := distance(typed, want); least < 0 || d < least {
			best, least = known[i].Name, d
			near = d <= max(1, len(want)/3)
		}
	}
	return best, near
}

func cut(s string) string {
	if len(s) > maxCompared {
		return s[:maxCompared]
	}
	return s
}

// distance is Levenshtein's, with two neighbours exchanged as one edit, on
// bytes: three rows of the usual matrix.
func distance(a, b string) int {
	var rows [3][maxCompared + 1]int
	older, last, row := &rows[0], &rows[1], &rows[2]
	a, b = cut(a), cut(b)
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, last, row = last, row, older
	}
	return last[len(b)]
}
