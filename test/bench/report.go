package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// limit is what swapinit promises, see docs/benchmarks.md: at most Max, or at
// most Ratio times another init's. The zero value is no limit.
type limit struct {
	Max   float64 `json:"max,omitempty"`
	Zero  bool    `json:"zero,omitempty"` // Max is 0 and meant
	Ratio float64 `json:"ratio,omitempty"`
	Of    string  `json:"of,omitempty"`
	Text  string  `json:"text,omitempty"`
}

// The names of the metrics, as docs/benchmarks.md explains them.
const (
	nameSize          = "binary size"
	nameStart         = "added start time"
	nameExec          = "added start time to the exec"
	namePrivate       = "idle private memory"
	nameResident      = "idle resident memory"
	nameLarge         = "private memory on 64 CPUs"
	nameLargeResident = "resident memory on 64 CPUs"
	nameWakeups       = "idle wakeups"
	nameZombies       = "8000 zombies drained"
	nameSignal        = "signal latency, p50"
	nameHUP           = "HUP to the successor's exec"
	nameSwap          = "own part of a swap"
)

// metric is one thing that was measured. Its first arm is swapinit.
type metric struct {
	Name  string `json:"name"`
	How   string `json:"how"`
	Unit  string `json:"unit"`
	Of    string `json:"of,omitempty"` // the only other arm, where that is not an init
	As    string `json:"as,omitempty"` // what swapinit\'s arm is, where there is an Of
	Limit limit  `json:"limit"`
	Arms  []*arm `json:"arms"`
}

// arm is one init's part of a metric.
type arm struct {
	Name    string    `json:"name"`
	Value   spread    `json:"value"`
	Ratio   *spread   `json:"swapinit_to_this,omitempty"` // nil: swapinit itself, or nothing to divide by
	Verdict string    `json:"verdict,omitempty"`          // ok or over, of the arm that the limit is about
	Samples []float64 `json:"samples"`
}

func (m *metric) add(name string, samples ...float64) {
	for _, a := range m.Arms {
		if a.Name == name {
			a.Samples = append(a.Samples, samples...)
			return
		}
	}
	m.Arms = append(m.Arms, &arm{Name: name, Samples: samples})
}

// judge computes everything from the samples.
func (m *metric) judge() {
	for _, a := range m.Arms {
		a.Value = spreadOf(a.Samples)
		a.Verdict, a.Ratio = "", nil
		if a.Name != us && !m.Limit.Zero { // times nothing says nothing
			if r, ok := ratio(m.Arms[0].Samples, a.Samples); ok {
				a.Ratio = &r
			}
		}
		switch {
		case a.Name == us && (m.Limit.Max > 0 || m.Limit.Zero):
			a.Verdict = verdict(a.Value.Median <= m.Limit.Max)
		case a.Name == m.Limit.Of && a.Ratio != nil:
			a.Verdict = verdict(a.Ratio.Median <= m.Limit.Ratio)
		}
	}
}

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "over"
}

// report is a whole run.
type report struct {
	Machine string   `json:"machine"`
	Missing []string `json:"missing"`
	Plain   bool     `json:"without_namespaces"`
	Load    string   `json:"load"` // at the begin; the zombies spoil it later
	Metrics []metric `json:"metrics"`
	Tables  []*table `json:"tables"`
}

func newReport(b *bench) *report {
	var u unix.Utsname
	_ = unix.Uname(&u) // fails for a bad pointer only
	return &report{
		Machine: fmt.Sprintf("Linux %s, %s, %d CPUs, %s", unix.ByteSliceToString(u.Release[:]), runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
		Missing: append([]string{}, b.missing...), Plain: b.refused != nil, Load: loadAverage(),
		Metrics: []metric{}, Tables: []*table{},
	}
}

// judge computes everything from the samples.
func (r *report) judge() {
	for i := range r.Metrics {
		r.Metrics[i].judge()
	}
}

// loadAverage is that of the last minute.
func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(data), " ")
	return first
}

// text prints metrics as they are there, one line an init.
func (r *report) text(w io.Writer, metrics []metric) {
	for i := range metrics {
		m := &metrics[i]
		m.judge()
		fmt.Fprintf(w, "%s: %s\n", m.Name, m.How)
		for _, a := range m.Arms {
			name := a.Name
			if name == us {
				name = m.subject()
			}
			line := fmt.Sprintf("  %-15s %10s %-3s", name, number(a.Value.Median), m.Unit)
			if len(a.Samples) > 1 {
				line += fmt.Sprintf("  %-19s", "("+number(a.Value.Low)+" .. "+number(a.Value.High)+")")
			}
			if a.Ratio != nil {
				line += fmt.Sprintf("  %s is %s x (%s .. %s)", m.subject(), number(a.Ratio.Median), number(a.Ratio.Low), number(a.Ratio.High))
			}
			if a.Verdict != "" {
				line += fmt.Sprintf("  limit %s: %s", m.Limit.Text, a.Verdict)
			}
			fmt.Fprintln(w, strings.TrimRight(line, " "))
		}
		if m.Limit.Of != "" && m.verdict() == "" {
			fmt.Fprintf(w, "  limit %s: not judged, there is no %s\n", m.Limit.Text, m.Limit.Of)
		}
		fmt.Fprintln(w)
	}
}

func (m *metric) verdict() string {
	for _, a := range m.Arms {
		if a.Verdict != "" {
			return a.Verdict
		}
	}
	return ""
}

func (r *report) summary(w io.Writer) {
	ok, over := 0, []string(nil)
	for i := range r.Metrics {
		switch r.Metrics[i].verdict() {
		case "ok":
			ok++
		case "over":
			over = append(over, r.Metrics[i].Name)
		}
	}
	fmt.Fprintf(w, "%s; load average before %s\n", r.Machine, r.Load)
	if len(r.Metrics) == 0 {
		return // nothing that has a median
	}
	fmt.Fprintf(w, "median (quartiles); %d limits kept, %d not", ok, len(over))
	if len(over) > 0 {
		fmt.Fprintf(w, ": %s", strings.Join(over, ", "))
	}
	fmt.Fprintln(w)
}

func (r *report) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// markdown prints the tables of docs/benchmarks.md.
func (r *report) markdown(w io.Writer) {
	r.inits(w)
	r.pairs(w)
	for _, t := range r.Tables {
		t.markdown(w)
	}
	fmt.Fprintf(w, "\n%s; load average before %s.", r.Machine, r.Load)
	if len(r.Missing) > 0 {
		fmt.Fprintf(w, " Not installed: %s.", strings.Join(r.Missing, ", "))
	}
	if r.Plain {
		fmt.Fprint(w, " Without namespaces: not as PID 1.")
	}
	fmt.Fprintln(w)
}

// inits prints one column an init, its median, and below swapinit's own the limit.
func (r *report) inits(w io.Writer) {
	names := []string{us}
	for _, p := range known {
		names = append(names, p.name)
	}
	first := true
	for i := range r.Metrics {
		m := &r.Metrics[i]
		if m.Of != "" {
			continue // see pairs
		}
		if first {
			fmt.Fprintf(w, "| | %s | limit | |\n", strings.Join(names, " | "))
			fmt.Fprintf(w, "|---|%s---|---|\n", strings.Repeat("---:|", len(names)))
			first = false
		}
		cells := make([]string, len(names))
		for n, name := range names {
			cells[n] = m.cell(name)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", m.title(), strings.Join(cells, " | "), dash(m.Limit.Text), dash(m.verdict()))
	}
}

// pairs prints the metrics that compare swapinit with something that is no init,
// in a table for each of these.
func (r *report) pairs(w io.Writer) {
	last := ""
	for i := range r.Metrics {
		m := &r.Metrics[i]
		if m.Of == "" {
			continue // see inits
		}
		if m.Of != last {
			fmt.Fprintf(w, "\n| | %s | %s | ratio (quartiles) |\n|---|---:|---:|---|\n", m.As, m.Of)
			last = m.Of
		}
		ratio := "-"
		if len(m.Arms) > 1 && m.Arms[1].Ratio != nil {
			r := m.Arms[1].Ratio
			ratio = fmt.Sprintf("%s (%s .. %s)", digits(r.Median), digits(r.Low), digits(r.High))
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", m.title(), m.value(us), m.value(m.Of), ratio)
	}
}

// digits prints a ratio that may be close to one.
func digits(ratio float64) string {
	if ratio >= 10 {
		return number(ratio)
	}
	return fmt.Sprintf("%.3f", ratio)
}

// subject is what swapinit's arm is called.
func (m *metric) subject() string {
	if m.As != "" {
		return m.As
	}
	return us
}

// title is the name with the unit.
func (m *metric) title() string {
	if m.Unit == "" {
		return m.Name
	}
	return m.Name + ", " + m.Unit
}

// value is an arm's median alone.
func (m *metric) value(name string) string {
	for _, a := range m.Arms {
		if a.Name == name {
			return number(a.Value.Median)
		}
	}
	return "-"
}

// cell is an init's median, and how many times that swapinit needs.
func (m *metric) cell(name string) string {
	for _, a := range m.Arms {
		if a.Name != name {
			continue
		}
		if a.Ratio != nil {
			return fmt.Sprintf("%s (x %s)", number(a.Value.Median), number(a.Ratio.Median))
		}
		return number(a.Value.Median)
	}
	return "-"
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// number prints three digits, or all before the point.
func number(f float64) string {
	switch a := math.Abs(f); {
	case a >= 100 || f == 0:
		return fmt.Sprintf("%.0f", f)
	case a >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}
