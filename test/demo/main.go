// Command demo shows swapinit's main job: a real HTTP server under swapinit as
// PID 1, requests from outside without pause, a swap every few seconds by
// SIGHUP, and a line that counts what was answered, what failed, and the
// swaps. It needs no Docker; without the privilege for namespaces it says so
// and shows the same with swapinit as an ordinary process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/test/e2e/ns"
	"github.com/swapinit/swapinit/test/load"
)

// lastSwap is the time that a swap needs to be seen: none is begun later.
const lastSwap = 2 * time.Second

type options struct {
	duration, every time.Duration
	swapinit        string
	server          string
}

func main() {
	ns.Stage()
	var o options
	flag.DurationVar(&o.duration, "duration", 20*time.Second, "how long the demonstration runs")
	flag.DurationVar(&o.every, "every", 3*time.Second, "time from one swap to the next")
	flag.StringVar(&o.swapinit, "swapinit", "bin/swapinit", "the binary; built when it does not exist")
	flag.StringVar(&o.server, "server", "bin/server", "the test server; built when it does not exist")
	flag.Parse()
	if flag.NArg() > 0 || o.duration <= 0 || o.every <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	ns.Root()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "swapinit-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.swapinit, err = program(ctx, o.swapinit, "./cmd/swapinit", dir); err != nil {
		return err
	}
	if o.server, err = program(ctx, o.server, "./test/server", dir); err != nil {
		return err
	}
	box, address, err := launch(o)
	if err != nil {
		return err
	}
	defer box.Kill()
	dial := func(ctx context.Context) (net.Conn, error) { return box.Dial(ctx, "tcp", address) }
	if err := accepting(ctx, box, dial); err != nil {
		return err
	}
	requests := load.Start(load.Options{Dial: dial, Fresh: 4, Kept: 4, Pace: 5 * time.Millisecond})
	begin := time.Now()
	early := watch(ctx, o, box, requests)
	count := requests.Stop()
	took := time.Since(begin)
	if err := errors.Join(early, end(box)); err != nil {
		return err
	}
	return summary(count, took)
}

// program returns the absolute path of name, which is built from the package
// pkg into dir when it does not exist.
func program(ctx context.Context, name, pkg, dir string) (string, error) {
	if _, err := os.Stat(name); err == nil {
		return filepath.Abs(name)
	}
	built := filepath.Join(dir, filepath.Base(name))
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", built, pkg)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build %s: %w\n%s", pkg, err, out)
	}
	return built, nil
}

// launch starts swapinit with the server, as PID 1 of namespaces of its own
// where that is allowed, and returns the address that it listens on.
func launch(o options) (*ns.Container, string, error) {
	c := ns.Config{Path: o.swapinit, Args: []string{o.server}, Stderr: os.Stderr, Namespaces: true}
	address := "127.0.0.1:8080"
	if err := ns.Supported(); err != nil {
		fmt.Printf("No namespaces here (%v): swapinit runs as an ordinary process (a subreaper) instead of as PID 1.\n", err)
		c.Namespaces = false
		if address, err = freeAddress(); err != nil {
			return nil, "", err
		}
	}
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "SWAPINIT_LISTEN=web=tcp://" + address, "SWAPINIT_LOG=warn"}
	box, err := ns.Start(c)
	if err != nil {
		return nil, "", err
	}
	what := "as PID 1 in its own namespaces"
	if !c.Namespaces {
		what = fmt.Sprintf("as process %d", box.Pid())
	}
	fmt.Printf("swapinit runs %s with an HTTP server on %s; HUP every %v makes it swap the server for %v.\n", what, address, o.every, o.duration)
	return box, address, nil
}

// freeAddress finds a TCP port that nobody uses.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// accepting waits until swapinit has opened the endpoint. From then on no
// request may fail.
func accepting(ctx context.Context, box *ns.Container, dial func(context.Context) (net.Conn, error)) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := dial(ctx)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-box.Done():
			return errors.New("swapinit ended at once")
		case <-ctx.Done():
			return errors.New("interrupted before anything was shown")
		}
	}
}

// watch swaps and shows the numbers until the time is over or Ctrl-C.
func watch(ctx context.Context, o options, box *ns.Container, requests *load.Load) error {
	show := newLine()
	defer show.end()
	draw := time.NewTicker(show.every)
	defer draw.Stop()
	swap := time.NewTicker(o.every)
	defer swap.Stop()
	end := time.Now().Add(o.duration)
	over := time.After(o.duration)
	for {
		select {
		case <-draw.C:
			show.draw(requests.Count())
		case <-swap.C:
			if time.Until(end) < lastSwap {
				continue
			}
			if err := box.Signal(syscall.SIGHUP); err != nil {
				return fmt.Errorf("cannot send HUP: %w", err)
			}
		case <-over:
			return nil
		case <-ctx.Done():
			return nil
		case <-box.Done():
			return fmt.Errorf("swapinit ended: %v", box.Status())
		}
	}
}

// end stops swapinit as docker stop does.
func end(box *ns.Container) error {
	select {
	case <-box.Done():
		return nil // already an error of watch
	default:
	}
	if err := box.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-box.Done():
	case <-time.After(time.Minute):
		return errors.New("swapinit did not stop within a minute")
	}
	if status := box.Status(); status.ExitStatus() != 0 {
		return fmt.Errorf("swapinit ended with status %d", status.ExitStatus())
	}
	return nil
}

// summary prints the result; a failed request is an error.
func summary(c load.Count, took time.Duration) error {
	fmt.Printf("\n%d requests in %.1f s, %d failed, %d swaps, slowest answer %v\n",
		c.Requests, took.Seconds(), c.Failed, swaps(c), c.Slowest.Round(time.Millisecond/10))
	for _, line := range generations(c) {
		fmt.Println("  " + line)
	}
	if c.Failed > 0 {
		return fmt.Errorf("%d requests failed: %q", c.Failed, c.Errors)
	}
	if c.Requests == 0 {
		return errors.New("no request was answered")
	}
	return nil
}
