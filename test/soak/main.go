// Command soak does random things, faults among them, to real containers under load for
// as long as it is told to, and ends at the first expectation that is not kept.
//
//	go run ./test/soak                    an hour
//	go run ./test/soak -time 8h -seed 7   what is done follows from the seed alone
//	go run ./test/soak -kind gate         the gate and its members only
//
// A container is swapinit as `make build` makes it, as PID 1 of namespaces of its own
// (root or user namespaces; no Docker). single is one container whose server is swapped,
// gate is a gate and containers that take over from each other. Each lives for one lap, a
// number of actions that grows from lap to lap; what it is (workers, how its server gets
// its socket and stops, ...) is drawn anew for each lap.
//
// Every action says what may be lost by it, which mostly is nothing, and who serves
// afterwards: swaps.go and faults.go, takeovers.go and upsets.go.
//
// Output: the seed, then a line now and then and at the end, on stdout; on a terminal one
// live line on stderr. Exit status 1: an expectation was not kept, and the folder with the
// logs of the containers is named; 2: usage; 130: interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/test/e2e/ns"
	"github.com/swapinit/swapinit/test/pristine"
)

var kinds = []string{"single", "gate"}

func main() {
	ns.Stage()
	pristine.Signals()
	var o options
	flag.DurationVar(&o.time, "time", time.Hour, "how long; the action that runs then is the last one")
	flag.Uint64Var(&o.seed, "seed", 0, "what is done follows from it; 0: a random one")
	flag.StringVar(&o.kind, "kind", "all", "single, gate, or all: both at a time")
	flag.IntVar(&o.actions, "actions", 0, "so many actions of each kind at most; 0: as many as the time allows")
	flag.DurationVar(&o.every, "every", 5*time.Minute, "how often a line says how far it is")
	flag.BoolVar(&o.breaks, "break", false, "swap a server that does lose requests: it has to end with status 1")
	flag.Parse()
	if flag.NArg() > 0 || o.kind != "all" && !slices.Contains(kinds, o.kind) || o.time <= 0 || o.every <= 0 || o.actions < 0 {
		flag.Usage()
		os.Exit(2)
	}
	ns.Root()
	if err := ns.Supported(); err != nil {
		fmt.Fprintln(os.Stderr, "soak: no namespaces:", err)
		os.Exit(1)
	}
	if o.seed == 0 {
		o.seed = rand.Uint64()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	o.terminal = terminal(os.Stderr)
	err := run(ctx, o, os.Stdout)
	var bad *violation
	switch {
	case err == nil:
	case errors.As(err, &bad):
		fmt.Println(bad.report())
		os.Exit(1)
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "soak: interrupted")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}
