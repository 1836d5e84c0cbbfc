// Command bench measures what swapinit costs, as PID 1 of namespaces of its
// own, against the other inits that are installed. It runs the inits in turn
// (A B C A B C ...), so that whatever else the machine does meets all of them,
// and prints ratios against the limits of docs/benchmarks.md.
//
//	go run ./test/bench              text
//	go run ./test/bench -short       fewer rounds
//	go run ./test/bench -markdown    the table of docs/benchmarks.md
//	go run ./test/bench -json        everything, samples included
//
//	go run ./test/bench -only endurance    a thousand swaps, a million connections
//
// Output: the result on stdout, steady plain text; progress on stderr, on a
// terminal only; what is missing and why, as lines on stderr. The exit status
// says whether everything could be measured, not whether limits are kept.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/test/e2e/ns"
)

type options struct {
	short, json, markdown bool
	swapinit              string
	only                  string
	swaps, connections    int
	svg                   string
}

func main() {
	ns.Stage()
	var o options
	flag.BoolVar(&o.short, "short", false, "fewer rounds: about a minute, two with Docker; rough")
	flag.BoolVar(&o.json, "json", false, "print JSON, for programs")
	flag.BoolVar(&o.markdown, "markdown", false, "print the table of docs/benchmarks.md")
	flag.StringVar(&o.swapinit, "swapinit", "", "the binary; by default one is built as `make build` does")
	flag.StringVar(&o.only, "only", "", "measure one of: "+names())
	flag.IntVar(&o.swaps, "swaps", 0, "swaps of endurance, or of each row of steer or takeover; 0: the usual number")
	flag.IntVar(&o.connections, "connections", 0, "connections of endurance; 0: a million")
	flag.StringVar(&o.svg, "svg", "", "with -only latency: a file for the picture")
	flag.Parse()
	if flag.NArg() > 0 || o.json && o.markdown || o.only != "" && !measures(o.only) || o.swaps < 0 || o.connections < 0 {
		flag.Usage()
		os.Exit(2)
	}
	ns.Root()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "swapinit-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, rounds: usual, swaps: o.swaps, connections: o.connections, svg: o.svg, progress: newProgress()}
	if o.short {
		b.rounds = short
	}
	if err := b.prepare(ctx, o.swapinit); err != nil {
		return err
	}
	r := newReport(b)
	var failed error
	for _, step := range steps() {
		if o.only != step.name && (o.only != "" || step.alone) {
			continue
		}
		if step.table != nil {
			t, err := step.table(ctx, b)
			b.progress.clear()
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s: %w", step.name, err))
			}
			if t != nil { // as far as it went
				r.Tables = append(r.Tables, t)
				if !o.json && !o.markdown {
					t.text(os.Stdout)
				}
			}
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			continue
		}
		metrics, err := step.measure(ctx, b)
		b.progress.clear()
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err != nil {
			// The other numbers are still worth having.
			failed = errors.Join(failed, fmt.Errorf("%s: %w", step.name, err))
			continue
		}
		r.Metrics = append(r.Metrics, metrics...)
		if !o.json && !o.markdown {
			r.text(os.Stdout, metrics)
		}
	}
	r.judge()
	switch {
	case o.json:
		err = r.json(os.Stdout)
	case o.markdown:
		r.markdown(os.Stdout)
	default:
		r.summary(os.Stdout)
	}
	return errors.Join(failed, err)
}

func measures(name string) bool {
	for _, step := range steps() {
		if step.name == name {
			return true
		}
	}
	return false
}

func names() string {
	var all []string
	for _, step := range steps() {
		all = append(all, step.name)
	}
	return strings.Join(all, ", ")
}

// step has one of the two funcs. The table of one that fails is as far as it
// went, nil for not at all.
type step struct {
	name    string
	measure func(context.Context, *bench) ([]metric, error)
	table   func(context.Context, *bench) (*table, error)
	alone   bool // it takes so long that it is only run when it is asked for
}

// steps are in the order of docs/benchmarks.md.
func steps() []step {
	return []step{
		{name: "size", measure: measureSize},
		{name: "start", measure: measureStart},
		{name: "rss", measure: measureMemory},
		{name: "wakeups", measure: measureWakeups},
		{name: "zombies", measure: measureZombies},
		{name: "signal", measure: measureSignal},
		{name: "swap", measure: measureSwap},
		{name: "drain", measure: measureDrain},
		{name: "group", measure: measureGroup},
		{name: "filter", measure: measureFilter},
		{name: "steer", table: failedRequests},
		{name: "ask", measure: measureAsk},
		{name: "gate", measure: measureFronts},
		{name: "takeover", table: takeovers},
		{name: "latency", table: latencies, alone: true},
		{name: "endurance", table: endurance, alone: true},
	}
}
