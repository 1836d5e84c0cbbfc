package text

// maxCompared bounds what is compared: no name of ours is nearly that long.
const maxCompared = 64

// Nearest returns the known word that takes the fewest edits to get from the one
// that was typed, the first of several, and whether that may be a typing error.
func Nearest(typed string, known []string) (best string, near bool) {
	least := -1
	for _, word := range known {
		if d := distance(typed, word); least < 0 || d < least {
			best, least = word, d
			near = d <= max(1, len(word)/3)
		}
	}
	return best, near
}

// distance is Levenshtein's, with two neighbours exchanged as one edit, on
// bytes: three rows of the usual matrix.
func distance(a, b string) int {
	var rows [3][maxCompared + 1]int
	older, last, row := &rows[0], &rows[1], &rows[2]
	a, b = a[:min(len(a), maxCompared)], b[:min(len(b), maxCompared)]
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
