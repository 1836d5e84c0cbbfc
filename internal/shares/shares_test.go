package shares

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
)

// Shares are written as short as they can be.
func TestPercent(t *testing.T) {
	for share, want := range map[int]string{0: "0", 1: "0.01", 10: "0.1", 50: "0.5", 99: "0.99", 100: "1", 105: "1.05", 110: "1.1", 2500: "25", 9999: "99.99", 10000: "100"} {
		if got := Percent(share); got != want {
			t.Errorf("%d: %s, want %s", share, got, want)
		}
	}
}

// A number is read as a float would be, and what is written is read again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "0.0", "0.005", "0.004", "0.00999", "1", "1e0", "1E+2", "1e-2", "1e-3", "1e3", "0e9", "100", "100.00", "100.0001", "100.01", "99.996", "99.99", "12.345", "1000e-1",
		"-1", "-0.1", "null", "true", `"1"`, "[1]", "{}", "1e99999999999999999999", "1e-400", "25.5", "00", "33.333333333333333333333333"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !json.Valid([]byte(s)) || strings.ContainsAny(s, " \t\r\n") || s[0] == '-' || len(s) > 18 {
			return
		}
		want, err := strconv.ParseFloat(s, 64)
		share, ok := Parse(s)
		if ok != (err == nil && want >= 0 && want <= 100) && math.Abs(want-100) > 1e-9 && want < 1e300 && len(s) < 300 {
			t.Fatalf("%q: %d, %v, want %v, %v", s, share, ok, want, err)
		}
		if ok && math.Abs(float64(share)-want*100) > 0.5000001 {
			t.Fatalf("%q: %d, want %v", s, share, want*100)
		}
	})
}

func TestParse(t *testing.T) {
	for share := range Full + 1 {
		if got, ok := Parse(Percent(share)); !ok || got != share {
			t.Errorf("%s is read as %d, %v", Percent(share), got, ok)
		}
	}
}
