package main

import (
	"os"
	"strings"
	"testing"
)

func TestVerdicts(t *testing.T) {
	absolute := limit{Max: 10, Text: "10 ms"}
	relative := limit{Ratio: 3, Of: "tini", Text: "3 x tini"}
	zero := limit{Zero: true, Text: "0"}
	for _, c := range []struct {
		name  string
		limit limit
		ours  []float64
		tinis []float64
		want  string
	}{
		{"within an absolute limit", absolute, []float64{1, 10, 100}, nil, "ok"},
		{"over an absolute limit", absolute, []float64{1, 11, 100}, nil, "over"},
		{"nothing", zero, []float64{0, 0, 7}, []float64{10, 10, 10}, "ok"},
		{"more than nothing", zero, []float64{0, 1, 7}, []float64{10, 10, 10}, "over"},
		{"within a ratio", relative, []float64{30, 30}, []float64{10, 10}, "ok"},
		{"over a ratio", relative, []float64{31, 31}, []float64{10, 10}, "over"},
		{"no peer for the ratio", relative, []float64{1}, nil, ""},
		{"a peer that needs nothing", relative, []float64{1}, []float64{0}, ""},
		{"no limit", limit{}, []float64{1}, []float64{1}, ""},
	} {
		m := metric{Limit: c.limit}
		m.add(us, c.ours...)
		if c.tinis != nil {
			m.add("tini", c.tinis...)
		}
		m.judge()
		if got := m.verdict(); got != c.want {
			t.Errorf("%s: the verdict is %q, not %q", c.name, got, c.want)
		}
	}
}

// A machine that is slow for a while is slow for both: the ratio does not move.
func TestRatioIsPaired(t *testing.T) {
	var a, b []float64
	for i := range 60 {
		slow := 1.0
		if i >= 40 {
			slow = 50
		}
		a, b = append(a, 3*slow), append(b, 2*slow)
	}
	got, ok := ratio(a, b)
	if !ok || got != (spread{1.5, 1.5, 1.5}) {
		t.Errorf("the ratio is %v, %v", got, ok)
	}
	if _, ok := ratio(a, make([]float64, 60)); ok {
		t.Error("something was divided by nothing")
	}
}

func TestQuantiles(t *testing.T) {
	if got := spreadOf([]float64{5, 1, 3, 2, 4}); got != (spread{3, 2, 4}) {
		t.Errorf("got %v", got)
	}
	if got := spreadOf([]float64{1, 2}); got != (spread{1.5, 1.25, 1.75}) {
		t.Errorf("got %v", got)
	}
}

func TestLess(t *testing.T) {
	if got := less([]float64{5, 6, 7}, []float64{1, 2, 3}); len(got) != 3 || got[0] != 4 || got[2] != 4 {
		t.Errorf("got %v", got)
	}
}

// The table has a column for each init whether it is installed or not, so that
// it can be pasted over an older one.
func TestMarkdown(t *testing.T) {
	r := report{Machine: "a machine", Load: "0.00", Missing: []string{"catatonit"}}
	m := metric{Name: "added start time", Unit: "ms", Limit: limit{Ratio: 3, Of: "tini", Text: "3 x tini"}}
	m.add(us, 6)
	m.add("tini", 2)
	r.Metrics = []metric{m}
	r.judge()
	var text strings.Builder
	r.markdown(&text)
	want := `| | swapinit | tini | tini-static | dumb-init | catatonit | limit | |
|---|---:|---:|---:|---:|---:|---|---|
| added start time, ms | 6.00 | 2.00 (x 3.00) | - | - | - | 3 x tini | ok |

a machine; load average before 0.00. Not installed: catatonit.
`
	if text.String() != want {
		t.Errorf("got\n%s\nnot\n%s", text.String(), want)
	}
}

// docs/benchmarks.md explains each metric and has the place for the table.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"<!-- table: begin -->", "<!-- table: end -->", "go run ./test/bench -markdown",
		nameSize, nameStart, nameExec, namePrivate, nameResident, nameWakeups, nameZombies, nameSignal, nameHUP, nameSwap,
		nameLook, nameDrain, nameHandshake, nameThroughput, nameNew, nameKept, nameBind, nameBind4, nameListen, nameGetppid, nameNoted, nameOther,
		nameLarge, nameLargeResident, nameFailed, nameEndurance} {
		if !strings.Contains(string(page), text) {
			t.Errorf("the page does not contain %q", text)
		}
	}
}
