package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/test/e2e/ns"
)

// way is one way to replace the server by a new one.
type way struct {
	name, what, word string
	env              []string // of swapinit; unused where it has no part in it
	restarts         bool     // without swapinit
}

var ways = []way{
	{name: "stopped and started", word: "restarts", restarts: true,
		what: "as `docker restart` does it: the server is PID 1 itself. It gets TERM (KILL after 10 s) and, when it\n" +
			"     has ended, is started again. What Docker itself takes for that is not counted."},
	{name: "one shared socket", word: "handovers", env: []string{"SWAPINIT_STEER=off", "SWAPINIT_DRAIN=off"},
		what: "as socket activation and start_server do it: one listening socket, which both servers accept from.\n" +
			"     The old one gets TERM when the new one is ready: swapinit with SWAPINIT_STEER=off SWAPINIT_DRAIN=off."},
	{name: "swapinit", word: "swaps",
		what: "a socket for each server. The kernel is told which one gets the new connections, and the old one gets\n" +
			"     TERM when its own have come to rest: swapinit without a setting but SWAPINIT_LISTEN."},
}

// serverArgs are the server's, in all rounds: it needs a while to boot and to answer, and
// ends at once when it is told to stop.
var serverArgs = []string{"-boot", boot.String(), "-work", work.String(), "-stop", "exit"}

const (
	boot = 500 * time.Millisecond
	work = 50 * time.Millisecond
)

// site is a server that runs in one of the ways.
type site struct {
	opts    options
	way     way
	address string
	network *ns.Container // whose network it is, where the server has none of its own

	mu         sync.Mutex
	box        *ns.Container // swapinit, or the server
	generation int
}

// open starts it. With an error nothing is left.
func open(o options, w way) (*site, error) {
	s := &site{opts: o, way: w, address: "127.0.0.1:8080"}
	if !o.namespaces {
		var err error
		if s.address, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	if w.restarts && o.namespaces {
		// The network outlives the server, as a published port does.
		var err error
		if s.network, err = ns.Start(ns.Config{Path: o.server, Args: []string{"-from", "none", "-ready", "none"}, Namespaces: true}); err != nil {
			return nil, err
		}
	}
	if err := s.start(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *site) start() error {
	s.generation++
	c := ns.Config{Path: s.opts.swapinit, Args: append([]string{"--", s.opts.server}, serverArgs...), Stderr: os.Stderr, Namespaces: s.opts.namespaces, Network: s.network}
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "SWAPINIT_LISTEN=web=tcp://" + s.address, "SWAPINIT_LOG=warn"}, s.way.env...)
	if s.way.restarts {
		c.Path, c.Args = s.opts.server, append([]string{"-from", "none", "-bind", "tcp4://" + s.address}, serverArgs...)
		c.Env = []string{"SWAPINIT_GENERATION=" + strconv.Itoa(s.generation)} // which it answers with
	}
	box, err := ns.Start(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.box = box
	}
	return err
}

func (s *site) current() *ns.Container {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.box
}

// deploy brings a new server. It may return before that serves.
func (s *site) deploy() error {
	if !s.way.restarts {
		return s.current().Signal(syscall.SIGHUP)
	}
	old := s.current()
	if err := old.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-old.Done():
	case <-time.After(10 * time.Second): // docker's
	}
	old.Kill()
	return s.start()
}

func (s *site) dial(ctx context.Context) (net.Conn, error) {
	where := s.network
	if where == nil {
		where = s.current()
	}
	return where.Dial(ctx, "tcp", s.address)
}

// serving waits until somebody answers, so that no round counts the first boot.
func (s *site) serving(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !s.answers(ctx) {
		select {
		case <-tick.C:
		case <-s.current().Done():
			return errors.New("it ended at once")
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

func (s *site) answers(ctx context.Context) bool {
	conn, err := s.dial(ctx)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second)) // and then a look whether it still runs
	if _, err = conn.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	return err == nil
}

// stop stops swapinit as docker stop does. A server that is PID 1 itself, and may not even
// have a handler yet for TERM, is for close.
func (s *site) stop() error {
	if s.way.restarts {
		return nil
	}
	box := s.current()
	if err := box.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-box.Done():
	case <-time.After(time.Minute):
		return errors.New("it did not stop within a minute")
	}
	if status := box.Status(); status.ExitStatus() != 0 {
		return fmt.Errorf("it ended with status %d", status.ExitStatus())
	}
	return nil
}

// close ends what is left.
func (s *site) close() {
	if box := s.current(); box != nil {
		box.Kill()
	}
	if s.network != nil {
		s.network.Kill()
	}
}

// freeAddress finds a TCP port that nobody uses.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
