package shares

import "testing"

// Shares are written as short as they can be.
func TestPercent(t *testing.T) {
	for share, want := range map[int]string{0: "0", 1: "0.01", 10: "0.1", 50: "0.5", 99: "0.99", 100: "1", 105: "1.05", 110: "1.1", 2500: "25", 9999: "99.99", 10000: "100"} {
		if got := Percent(share); got != want {
			t.Errorf("%d: %s, want %s", share, got, want)
		}
	}
}
