package text

import (
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		d    int
	}{
		{"", "", 0}, {"", "AB", 2}, {"LOG", "LOG", 0}, {"LGO", "LOG", 1}, {"LO", "LOG", 1},
		{"KITTEN", "SITTING", 3}, {strings.Repeat("A", 100), "A", maxCompared - 1},
	} {
		if d := distance(c.a, c.b); d != c.d {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, d, c.d)
		}
		if d := distance(c.b, c.a); d != c.d {
			t.Errorf("distance(%q, %q) = %d, want %d", c.b, c.a, d, c.d)
		}
	}
}
