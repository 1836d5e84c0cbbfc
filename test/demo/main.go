// Command demo shows swapinit's main job, and what it is good for: a real HTTP server
// under load from outside, which is replaced every few seconds. Three rounds, one after
// the other: stopped and started, by one shared socket, and by swapinit. A live line
// counts what was answered and what failed, and a table compares. In the rounds of
// swapinit it runs as PID 1; it needs no Docker, and without the privilege for namespaces
// says so and shows the same with ordinary processes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/test/e2e/ns"
	"github.com/swapinit/swapinit/test/load"
)

const (
	// lastDeploy is the time that a deploy needs to be seen: none but the first is begun
	// later than that before the end of its round.
	lastDeploy = 2 * time.Second

	// late is when a deploy that is not seen has failed.
	late = time.Minute

	rate = 300 // requests a second, each on a connection of its own
)

type options struct {
	duration, every time.Duration
	swapinit        string
	server          string
	namespaces      bool
}

func main() {
	ns.Stage()
	var o options
	flag.DurationVar(&o.duration, "duration", 12*time.Second, "how long each of the three rounds lasts")
	flag.DurationVar(&o.every, "every", 3*time.Second, "time from one deploy to the next")
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
	o.namespaces = true
	if err := ns.Supported(); err != nil {
		o.namespaces = false
		fmt.Printf("No namespaces here (%v): servers and swapinit run as ordinary processes (swapinit as a subreaper) instead of as PID 1.\n", err)
	}
	fmt.Printf("Three rounds of %v. A new server every %v, an HTTP server that needs %v to start and %v to answer, and ends\n"+
		"at once when it is told to stop. %d requests a second from outside, each on a new connection, none tried again.\n"+
		"One that is refused, reset or closed before the whole answer has failed.\n",
		o.duration, o.every, boot, work, rate)

	var rounds []result
	show := newScreen()
	for i, w := range ways {
		fmt.Printf("\n%d/%d  %s: %s\n", i+1, len(ways), w.name, w.what)
		count, err := round(ctx, o, w, show)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		rounds = append(rounds, result{w, count})
		if ctx.Err() != nil {
			break
		}
	}
	show.table(rounds)
	return verdict(rounds, ctx.Err() != nil)
}

// result is what a round has counted.
type result struct {
	way   way
	count load.Count
}

// verdict is an error where swapinit has lost something.
func verdict(rounds []result, interrupted bool) error {
	if interrupted {
		fmt.Println("\nInterrupted.")
	}
	last := rounds[len(rounds)-1]
	if last.way.name != "swapinit" { // interrupted before
		return nil
	}
	fmt.Printf("\nswapinit: %d requests, %d failed, %d swaps\n", last.count.Requests, last.count.Failed, swaps(last.count))
	switch {
	case last.count.Failed > 0:
		return fmt.Errorf("swapinit: %d requests failed: %q", last.count.Failed, last.count.Errors)
	case last.count.Requests == 0 && !interrupted:
		return errors.New("swapinit: no request was answered")
	}
	return nil
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

// round shows one way, and returns what became of the requests.
func round(ctx context.Context, o options, w way, show screen) (load.Count, error) {
	s, err := open(o, w)
	if err != nil {
		return load.Count{}, err
	}
	defer s.close()
	if err := s.serving(ctx); err != nil || ctx.Err() != nil {
		return load.Count{}, err
	}
	requests := load.Start(load.Options{Dial: s.dial, Rate: rate})
	begin := time.Now()
	err = watch(ctx, s, requests, show)
	count := requests.Stop()
	if stopped := s.stop(); err == nil {
		err = stopped
	}
	show.live(begin, count, w.word)
	show.end()
	return count, err
}

// watch deploys and shows the numbers until the time is over, and the last deploy is
// seen, or Ctrl-C.
func watch(ctx context.Context, s *site, requests *load.Load, show screen) error {
	draw := time.NewTicker(show.every())
	defer draw.Stop()
	next := time.NewTicker(s.opts.every)
	defer next.Stop()
	look := time.NewTicker(10 * time.Millisecond) // for the end
	defer look.Stop()
	begin, begun, since := time.Now(), 0, time.Time{}
	done := make(chan error)
	deploying := false
	for {
		select {
		case <-draw.C:
			show.live(begin, requests.Count(), s.way.word)
		case <-next.C:
			left := s.opts.duration - time.Since(begin)
			if deploying || swaps(requests.Count()) < begun || begun > 0 && left < lastDeploy {
				continue
			}
			begun, since, deploying = begun+1, time.Now(), true
			go func() { done <- s.deploy() }()
		case err := <-done:
			if deploying = false; err != nil {
				return fmt.Errorf("cannot deploy: %w", err)
			}
		case <-look.C:
			switch seen := swaps(requests.Count()); {
			case deploying:
			case ended(s.current()):
				return fmt.Errorf("it ended: %v", s.current().Status())
			case seen < begun && time.Since(since) > late:
				return errors.New("a new server has not answered within a minute")
			case seen >= begun && time.Since(begin) > s.opts.duration || ctx.Err() != nil:
				return nil
			}
		}
	}
}

// ended reports whether nothing runs there any more.
func ended(box *ns.Container) bool {
	select {
	case <-box.Done():
		return true
	default:
		return false
	}
}
