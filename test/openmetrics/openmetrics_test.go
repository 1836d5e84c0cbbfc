// Package openmetrics reads what swapinit prints as metrics with Prometheus's own parser,
// and holds docs/metrics.md to it. It is a module of its own: what it needs is nobody else's.
package openmetrics

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/swapinit/swapinit/internal/control"
)

var update = flag.Bool("update", false, "write the table of docs/metrics.md again")

// family is a metric family with the samples that were read.
type family struct {
	kind, help, unit string
	samples          map[string]float64 // by name and labels
}

// parse reads text. It fails where Prometheus would, and where the specification wants
// what its parser lets pass.
func parse(t *testing.T, text string) (families map[string]*family, order []string) {
	t.Helper()
	families = map[string]*family{}
	get := func(name []byte) *family {
		f := families[string(name)]
		if f == nil {
			f = &family{samples: map[string]float64{}}
			families[string(name)] = f
			order = append(order, string(name))
		}
		return f
	}
	p := textparse.NewOpenMetricsParser([]byte(text), labels.NewSymbolTable())
	var last *family
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		switch entry {
		case textparse.EntryType:
			name, kind := p.Type()
			last = get(name)
			last.kind = string(kind)
		case textparse.EntryHelp:
			name, help := p.Help()
			last = get(name)
			last.help = string(help)
		case textparse.EntryUnit:
			name, unit := p.Unit()
			get(name).unit = string(unit)
		case textparse.EntrySeries:
			var l labels.Labels
			p.Metric(&l)
			_, _, value := p.Series()
			name := l.Get(labels.MetricName)
			if !strings.HasPrefix(name, order[len(order)-1]) {
				t.Errorf("%s stands among the samples of %s", name, order[len(order)-1])
			}
			if last.kind == "counter" != strings.HasSuffix(name, "_total") {
				t.Errorf("%s is a %s", name, last.kind)
			}
			if _, twice := last.samples[l.String()]; twice {
				t.Errorf("%s is there twice", l)
			}
			last.samples[l.String()] = value
		}
	}
	for _, name := range order {
		f := families[name]
		if f.kind == "" || f.help == "" {
			t.Errorf("%s has type %q and help %q", name, f.kind, f.help)
		}
		if f.unit != "" && !strings.HasSuffix(name, "_"+f.unit) || f.unit == "" && strings.HasSuffix(name, "_seconds") {
			t.Errorf("%s has the unit %q", name, f.unit)
		}
	}
	return families, order
}

func (f *family) want(t *testing.T, sample string, want float64) {
	t.Helper()
	if got, ok := f.samples[sample]; !ok || got != want {
		t.Errorf("%s is %v (there: %v), want %v; all: %v", sample, got, ok, want, f.samples)
	}
}

func server() *control.Status {
	return &control.Status{Ready: true, Version: `1.0 "x" \`,
		Generations: []control.Generation{
			{Generation: 7, State: "active", Share: new(9900), Open: new(12), Idle: new(9), Queued: new(1)},
			{Generation: 6, State: "draining", Share: new(0), Open: new(2), Idle: new(1), Queued: new(0)},
			{Generation: 5, State: "draining", Share: new(0), Open: new(1), Idle: new(0), Queued: new(0)},
			{Generation: 8, State: "ready", Share: new(100)},
		},
		Sides:    []control.Side{{Name: "cron", Pid: 9, Restarts: 3}, {Name: "logs"}},
		Totals:   &control.Totals{SwapsOK: 6, SwapsFailed: 2, SwapsUndone: 1, Restarts: 4, Orphans: 1 << 40},
		LastSwap: &control.LastSwap{OK: true, AgoMS: 61_234, Stages: []control.SwapStage{{Stage: "canary", MS: 10_000}, {Stage: "canary", MS: 500}, {Stage: "cutover"}}},
		Joined:   &control.Joined{AwayMS: new(int64(1500))},
	}
}

func gate() *control.Status {
	return &control.Status{Version: "1.0", Gate: &control.Gate{Epoch: 12, Members: []control.GateMember{
		{State: "holder", Connected: true, Share: new(10_000), Open: new(3), Idle: new(2), Queued: new(0)},
		{State: "kept", Connected: true},
		{State: "retired"},
	}}}
}

func TestServer(t *testing.T) {
	f, _ := parse(t, server().Metrics())
	f["swapinit"].want(t, `{__name__="swapinit_info", version="1.0 \"x\" \\"}`, 1)
	f["swapinit_ready"].want(t, `{__name__="swapinit_ready"}`, 1)
	f["swapinit_active_generation"].want(t, `{__name__="swapinit_active_generation"}`, 7)
	f["swapinit_generations"].want(t, `{__name__="swapinit_generations", state="draining"}`, 2)
	f["swapinit_generations"].want(t, `{__name__="swapinit_generations", state="stopping"}`, 0)
	f["swapinit_generations_share_ratio"].want(t, `{__name__="swapinit_generations_share_ratio", state="active"}`, 0.99)
	f["swapinit_generations_open_connections"].want(t, `{__name__="swapinit_generations_open_connections", state="draining"}`, 3)
	f["swapinit_generations_idle_connections"].want(t, `{__name__="swapinit_generations_idle_connections", state="active"}`, 9)
	f["swapinit_generations_queued_connections"].want(t, `{__name__="swapinit_generations_queued_connections", state="active"}`, 1)
	if _, there := f["swapinit_generations_open_connections"].samples[`{__name__="swapinit_generations_open_connections", state="ready"}`]; there {
		t.Error("a count that is not known has a sample")
	}
	f["swapinit_swaps"].want(t, `{__name__="swapinit_swaps_total", result="failed"}`, 2)
	f["swapinit_orphans_reaped"].want(t, `{__name__="swapinit_orphans_reaped_total"}`, 1<<40)
	f["swapinit_last_swap_stage_seconds"].want(t, `{__name__="swapinit_last_swap_stage_seconds", stage="canary"}`, 10.5)
	f["swapinit_last_swap_age_seconds"].want(t, `{__name__="swapinit_last_swap_age_seconds"}`, 61.234)
	f["swapinit_side_running"].want(t, `{__name__="swapinit_side_running", side="logs"}`, 0)
	f["swapinit_side_restarts"].want(t, `{__name__="swapinit_side_restarts_total", side="cron"}`, 3)
	f["swapinit_gate_away_seconds"].want(t, `{__name__="swapinit_gate_away_seconds"}`, 1.5)
}

func TestGate(t *testing.T) {
	f, _ := parse(t, gate().Metrics())
	f["swapinit_ready"].want(t, `{__name__="swapinit_ready"}`, 0)
	f["swapinit_gate_members"].want(t, `{__name__="swapinit_gate_members", state="retired"}`, 1)
	f["swapinit_gate_members_share_ratio"].want(t, `{__name__="swapinit_gate_members_share_ratio", state="holder"}`, 1)
	f["swapinit_gate_connected_members"].want(t, `{__name__="swapinit_gate_connected_members"}`, 2)
	f["swapinit_gate_epoch"].want(t, `{__name__="swapinit_gate_epoch"}`, 12)
}

func TestNothingYet(t *testing.T) {
	parse(t, (&control.Status{}).Metrics())
	parse(t, (&control.Status{Gate: &control.Gate{}}).Metrics())
}

// The page lists every family, and no other.
func TestPage(t *testing.T) {
	const page, begin, end = "../../docs/metrics.md", "<!-- metrics: written by make metrics-page -->\n\n", "\n<!-- end of metrics -->"
	table := "| name | type | meaning |\n|---|---|---|\n"
	seen := map[string]bool{}
	for _, s := range []*control.Status{server(), gate()} {
		f, order := parse(t, s.Metrics())
		for _, name := range order {
			if seen[name] {
				continue
			}
			seen[name] = true
			label := ""
			for sample := range f[name].samples {
				if _, rest, ok := strings.Cut(sample, ", "); ok {
					label, _, _ = strings.Cut(rest, "=")
				} else if strings.HasPrefix(sample, "{__name__=\"swapinit_info\"") {
					label = "version"
				}
			}
			shown := name + map[string]string{"counter": "_total", "info": "_info"}[f[name].kind]
			if label != "" {
				shown += "{" + label + "}"
			}
			table += fmt.Sprintf("| `%s` | %s | %s |\n", shown, f[name].kind, f[name].help)
		}
	}
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	got, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s has no table of metrics", page)
	}
	if got == table {
		return
	}
	if !*update {
		t.Fatalf("the table of %s is stale: make metrics-page", page)
	}
	if err := os.WriteFile(page, []byte(before+begin+table+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
