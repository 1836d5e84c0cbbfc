package main

import (
	"context"
	"fmt"
	release "github.com/swapinit/swapinit/test/build"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/swapinit/swapinit/test/e2e/ns"
)

// peer is an init.
type peer struct {
	name string
	path string
	args []string // before the command
}

// known are the inits to compare with, as Debian packages them.
var known = []peer{
	{name: "tini", args: []string{"--"}},
	{name: "tini-static", args: []string{"--"}},
	{name: "dumb-init", args: []string{"--"}},
	{name: "catatonit", args: []string{"--"}},
}

const us = "swapinit"

func (p peer) argv(command ...string) []string {
	return append(append([]string{p.path}, p.args...), command...)
}

// rounds say how often each thing is measured.
type rounds struct {
	start, zombies, signals, swaps, windows int
	window                                  time.Duration
	drains, shakes, slices, binds, calls    int
	failing, turns                          int // swaps of each contender, in so many turns
	asks, takeovers                         int // takeovers without and with containers
}

var (
	usual = rounds{start: 100, zombies: 15, signals: 1000, swaps: 50, windows: 5, window: 10 * time.Second,
		drains: 5, shakes: 150, slices: 30, binds: 45, calls: 45, failing: 20, turns: 4,
		asks: 200, takeovers: 12}
	short = rounds{start: 20, zombies: 4, signals: 200, swaps: 10, windows: 1, window: 10 * time.Second,
		drains: 1, shakes: 30, slices: 4, binds: 6, calls: 6, failing: 2, turns: 1,
		asks: 30, takeovers: 2}
)

// bench is what the measurements share.
type bench struct {
	dir      string
	helper   string // test/bench/helper
	server   string // a copy of it that nothing else runs
	web      string
	nothing  string // a copy of /bin/true that nothing else runs
	peers    []peer // swapinit first
	missing  []string
	refused  error // why there are no namespaces
	rounds   rounds
	progress *progress

	swaps, connections int    // what was asked for; 0: nothing
	svg                string // a file for the picture of latency; empty: none
}

// swapsOr is how many swaps were asked for, or the usual number.
func (b *bench) swapsOr(usual int) int {
	if b.swaps > 0 {
		return b.swaps
	}
	return usual
}

func (b *bench) prepare(ctx context.Context, swapinit string) error {
	b.progress.show("building", 0, 0)
	defer b.progress.clear()
	if b.refused = ns.Supported(); b.refused != nil {
		fmt.Fprintf(os.Stderr, "bench: no namespaces here (%v): the inits run as ordinary processes, and what only a PID 1 does is left out\n", b.refused)
	}
	b.helper, b.web = filepath.Join(b.dir, "helper"), filepath.Join(b.dir, "web")
	for out, pkg := range map[string]string{b.helper: "./test/bench/helper", b.web: "./test/bench/web"} {
		if err := build(ctx, out, pkg); err != nil {
			return err
		}
	}
	if swapinit == "" {
		swapinit = filepath.Join(b.dir, us)
		if err := release.Swapinit(swapinit); err != nil {
			return err
		}
	}
	swapinit, err := filepath.Abs(swapinit)
	if err != nil {
		return err
	}
	b.server, b.nothing = filepath.Join(b.dir, "server"), filepath.Join(b.dir, "true")
	if err := copyFile(b.helper, b.server); err != nil {
		return err
	}
	if err := copyFile("/bin/true", b.nothing); err != nil {
		return err
	}
	b.peers = []peer{{name: us, path: swapinit}}
	for _, p := range known {
		path, err := exec.LookPath(p.name)
		if err != nil {
			b.missing = append(b.missing, p.name)
			continue
		}
		p.path = path
		if b.refused != nil && (p.name == "tini" || p.name == "tini-static") {
			p.args = []string{"-s", "--"} // subreaper, as swapinit is by itself
		}
		b.peers = append(b.peers, p)
	}
	for _, name := range b.missing {
		fmt.Fprintf(os.Stderr, "bench: %s is not installed and is left out\n", name)
	}
	return nil
}

// build makes a static helper.
func build(ctx context.Context, out, pkg string) error {
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", out, pkg)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", pkg, err, text)
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
