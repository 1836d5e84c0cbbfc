package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/swapinit/swapinit/test/build"
	"github.com/swapinit/swapinit/test/e2e/ns"
	"github.com/swapinit/swapinit/test/load"
)

// kind is where a line of the terminal comes from.
type kind string

const (
	typed   kind = "$" // a command
	printed kind = ">" // its standard output
	refused kind = "!" // its standard error
	counted kind = "#" // what the load has counted when the command has ended
)

// line is one line of the terminal.
type line struct {
	at   time.Duration // since the first one
	kind kind
	text string
}

// programs are scripts in PATH: a server that binds its port itself, drops what it has
// accepted when it is told to stop, and says nothing of its readiness; and a release of it
// that does not start.
var programs = map[string]string{
	"app":        "exec server -from none -bind tcp4://0.0.0.0:8080 -ready none -stop exit",
	"app-broken": "exec server -from none -die boot -die-status 7",
}

// commands are what the picture shows: a good release, a bad one, and the way back. "-"
// begins one that has to fail.
var commands = []string{"swapinit swap", "-swapinit swap -- app-broken", "swapinit rollback"}

// patience is a net against hangs.
const patience = 5 * time.Minute

// record runs it.
func record(ctx context.Context) ([]line, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := ns.Supported(); err != nil {
		return nil, fmt.Errorf("no namespaces here: %w", err)
	}
	dir, err := os.MkdirTemp("", "swapinit-picture-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := build.Swapinit(filepath.Join(dir, "swapinit")); err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "server"), "./test/server")
	c.Dir, c.Env = build.Root(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot build the server: %w\n%s", err, out)
	}
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			return nil, err
		}
	}

	env := []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "SWAPINIT_LISTEN=tcp4://:8080", "SWAPINIT_KEEP=5m"}
	box, err := ns.Start(ns.Config{Path: filepath.Join(dir, "swapinit"), Args: []string{"app"}, Env: env, Namespaces: true})
	if err != nil {
		return nil, err
	}
	defer box.Kill()
	if err := healthy(ctx, box, env); err != nil {
		return nil, err
	}
	dial := func(ctx context.Context) (net.Conn, error) { return box.Dial(ctx, "tcp", "127.0.0.1:8080") }
	requests := load.Start(load.Options{Dial: dial, Fresh: 8, Pace: 5 * time.Millisecond})
	defer requests.Stop()

	t := &terminal{begin: time.Now()}
	for _, command := range commands {
		command, fails := strings.CutPrefix(command, "-")
		t.show(typed, command)
		if err := t.run(box.Command(ctx, env, "sh", "-c", command)); (err != nil) != fails {
			return nil, fmt.Errorf("%s: %v: %v", command, err, t.lines)
		}
		n := requests.Count()
		t.show(counted, fmt.Sprintf("load from outside: %d requests, %d failed", n.Requests, n.Failed))
	}
	return t.lines, nil
}

// healthy waits until the first generation is ready.
func healthy(ctx context.Context, box *ns.Container, env []string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if box.Command(ctx, env, "swapinit", "health").Run() == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-box.Done():
			return errors.New("swapinit has ended")
		case <-ctx.Done():
			return errors.New("the server does not become ready")
		}
	}
}

// terminal is what is seen.
type terminal struct {
	begin time.Time
	mu    sync.Mutex
	lines []line
}

func (t *terminal) show(k kind, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line{time.Since(t.begin).Round(time.Millisecond), k, text})
}

// run shows what a command prints: first all that it says, then why it did not work.
func (t *terminal) run(cmd *exec.Cmd) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var why strings.Builder
	cmd.Stderr = &why
	if err := cmd.Start(); err != nil {
		return err
	}
	for s := bufio.NewScanner(io.Reader(out)); s.Scan(); {
		t.show(printed, s.Text())
	}
	err = cmd.Wait()
	for text := range strings.Lines(why.String()) {
		t.show(refused, strings.TrimSuffix(text, "\n"))
	}
	return err
}

// format is the recording as a file, parse reads it.
func format(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%d\t%s\t%s\n", l.at.Milliseconds(), l.kind, l.text)
	}
	return b.String()
}

func parse(text string) (lines []line, err error) {
	for row := range strings.Lines(text) {
		var ms int
		var k string
		at, rest, _ := strings.Cut(row, "\t")
		k, rest, found := strings.Cut(rest, "\t")
		if _, err := fmt.Sscanf(at, "%d", &ms); err != nil || !found {
			return nil, fmt.Errorf("cannot read %q of the recording", row)
		}
		lines = append(lines, line{time.Duration(ms) * time.Millisecond, kind(k), strings.TrimSuffix(rest, "\n")})
	}
	return lines, nil
}
