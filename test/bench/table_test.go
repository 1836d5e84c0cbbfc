package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// A contender that is not installed, or that could not be measured, is in the
// table and counts as nothing: least of all as one without failures.
func TestFailedTable(t *testing.T) {
	rows := []*tally{
		{contender: contender{kind: steered, server: abrupt}, count: count{Requests: 5000}, swaps: 20},
		{contender: contender{kind: shared, server: killed}, count: count{Requests: 4000, Failed: 30}, swaps: 20},
		{contender: contender{kind: starter, server: abrupt}},
		{contender: contender{kind: nginx, server: itself}, count: count{Requests: 7, Failed: 7}, swaps: 1, err: errors.New("it burns")},
	}
	var text strings.Builder
	failedTable(rows).markdown(&text)
	want := `
Failed requests a swap: 32 clients, a connection for each request, answers after 5 ms; failed: refused, reset, or closed before the whole answer.

| replaced by | the old server | failed a swap | failed | requests | swaps |
|---|---|---|---|---|---|
| swapinit, steered | dies at once on TERM | 0 | 0 | 5000 | 20 |
| swapinit, one shared socket | is killed | 1.50 | 30 | 4000 | 20 |
| start_server | dies at once on TERM | not installed | - | - | - |
| nginx's reload | nginx's own | could not be measured | - | - | - |
`
	if text.String() != want {
		t.Errorf("got\n%s\nnot\n%s", text.String(), want)
	}
	if err := failures(rows); err == nil || !strings.Contains(err.Error(), "it burns") {
		t.Errorf("the error is %v", err)
	}
	if err := failures(rows[:3]); err != nil {
		t.Errorf("what is not installed is no error, not %v", err)
	}
}

func TestEnduranceTable(t *testing.T) {
	c := count{Requests: 1000, Failed: 3, Refused: 1, Reset: 2, Running: 10 * time.Second, Slowest: 12 * time.Millisecond, Errors: []string{"a", "b"}}
	var text strings.Builder
	enduranceTable(c, 7, 90*time.Second).text(&text)
	for _, want := range []string{
		"  swaps  new connections  failed  of these refused  reset  cut off  timed out  connections a second  slowest answer  took\n",
		"  7      1000             3       1                 2      0        0          100                   12ms            1m30s\n",
		"  the first errors: a; b\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("got\n%s\nwithout\n%s", text.String(), want)
		}
	}
}

func TestCountsAddUp(t *testing.T) {
	a := count{Requests: 10, Failed: 9, Refused: 1, Reset: 2, Cut: 3, Timeout: 4, Slowest: 5, Running: 6, Errors: []string{"x"}}
	sum := a
	sum.add(a)
	if want := (count{Requests: 20, Failed: 18, Refused: 2, Reset: 4, Cut: 6, Timeout: 8, Slowest: 5, Running: 12}); !same(sum, want) || len(sum.Errors) != 2 {
		t.Errorf("got %+v", sum)
	}
	if d := sum.since(a); d.Requests != 10 || d.Failed != 9 || d.Running != 6 {
		t.Errorf("got %+v", d)
	}
}

func same(a, b count) bool {
	a.Errors, b.Errors = nil, nil
	return a.Requests == b.Requests && a.Failed == b.Failed && a.Refused == b.Refused && a.Reset == b.Reset &&
		a.Cut == b.Cut && a.Timeout == b.Timeout && a.Slowest == b.Slowest && a.Running == b.Running
}

// What is compared with something that is no init has a table of its own.
func TestPairs(t *testing.T) {
	r := report{Machine: "a machine", Load: "0.00"}
	m := metric{Name: "a handshake", Unit: "us", As: "steered", Of: single}
	m.add(us, 10, 10)
	m.add(single, 8, 8)
	n := metric{Name: "a call", As: "adopted", Of: unfiltered}
	n.add(us, 120, 120)
	n.add(unfiltered, 10, 10)
	r.Metrics = []metric{m, n}
	r.Tables = []*table{{Name: "some", How: "how", Columns: []string{"a"}, Rows: [][]string{{"1"}}}}
	r.judge()
	var text strings.Builder
	r.markdown(&text)
	for _, want := range []string{`
| | steered | single socket | ratio (quartiles) |
|---|---:|---:|---|
| a handshake, us | 10.0 | 8.00 | 1.250 (1.250 .. 1.250) |

| | adopted | no filter | ratio (quartiles) |
|---|---:|---:|---|
| a call | 120 | 10.0 | 12.0 (12.0 .. 12.0) |
`, `
Some: how.

| a |
|---|
| 1 |
`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("got\n%s\nwithout\n%s", text.String(), want)
		}
	}
	if strings.Count(text.String(), "a handshake") != 1 {
		t.Errorf("it is there twice:\n%s", text.String())
	}
}
