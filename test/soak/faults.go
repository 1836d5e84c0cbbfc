package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"time"
)

// killKept: what it still had is lost, the active one serves on.
func (s *single) killKept(*rand.Rand) step {
	return step{lossy: true, do: func() error { return s.swapAndKill("kept") }}
}

// killDraining is the same where it is not kept.
func (s *single) killDraining(*rand.Rand) step {
	return step{lossy: true, do: func() error { return s.swapAndKill("draining") }}
}

func (s *single) swapAndKill(what string) error {
	before := s.active
	if err := s.swapped(swapArgs{}); err != nil {
		return err
	}
	t, err := s.status()
	if err != nil {
		return err
	}
	if t.of(before) == nil {
		if what == "kept" {
			return fmt.Errorf("the predecessor is not kept: %v", t)
		}
		return nil // it has ended already
	}
	if err := s.killAll(before); err != nil && what == "kept" {
		return err
	}
	return s.await("its end", func(t *status) bool { return t.of(before) == nil })
}

// killActive: what it had is lost; the kept predecessor serves, and nobody is refused.
func (s *single) killActive(*rand.Rand) step {
	return step{lossy: true, do: func() error {
		before := s.active
		if err := s.swapped(swapArgs{}); err != nil {
			return err
		}
		dead := s.active
		if err := s.killAll(dead); err != nil {
			return err
		}
		s.active = before
		return s.await("the predecessor to serve", func(t *status) bool { g := t.of(before); return g != nil && g.State == "active" && t.of(dead) == nil })
	}}
}

// killWorker: it is started again; the others serve meanwhile.
func (s *single) killWorker(r *rand.Rand) step {
	which := r.IntN(s.workers)
	return step{text: fmt.Sprint(which), lossy: true, do: func() error {
		pid, err := s.pidOf(s.active, which)
		if err != nil {
			return err
		}
		if err := s.box.signal(pid, syscall.SIGKILL); err != nil {
			return err
		}
		return s.await("another worker", func(t *status) bool {
			g := t.of(s.active)
			if g == nil {
				return false
			}
			for _, w := range g.Workers {
				if !w.Ready || w.Pid == 0 || w.Pid == pid {
					return false
				}
			}
			return len(g.Workers) == s.workers
		})
	}}
}

// stopServer: what comes meanwhile waits.
func (s *single) stopServer(r *rand.Rand) step {
	wait, which := upTo(r, 500*time.Millisecond), r.IntN(s.workers)
	return step{text: wait.String(), do: func() error {
		pid, err := s.pidOf(s.active, which)
		if err != nil {
			return err
		}
		if err := s.box.signal(pid, syscall.SIGSTOP); err != nil {
			return err
		}
		pause(s.lap.ctx, wait)
		return s.box.signal(pid, syscall.SIGCONT)
	}}
}

// stopInit: it has no part in serving.
func (s *single) stopInit(r *rand.Rand) step {
	wait := upTo(r, 500*time.Millisecond)
	return step{text: wait.String(), do: func() error { return s.frozen(wait, s.lap.load) }}
}

// frozen stops an init, has the load go on, and lets the init go on.
func (b *box) frozen(wait time.Duration, load *tally) error {
	if err := b.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	err := load.more(b.ctx, 20)
	pause(b.ctx, wait)
	return errors.Join(err, b.Signal(syscall.SIGCONT))
}

// noise is rubbish of many kinds.
func noise(r *rand.Rand) string {
	bytes := make([]byte, 1+r.IntN(100_000))
	for i := range bytes {
		bytes[i] = byte(r.Uint32())
	}
	return oneOf(r, string(bytes), strings.Repeat("x", 1<<18), "\n\n\n", "{}\n", "{\"v\":99}\n", "[1,2,3]\n", strings.Repeat("[", 1<<15)+"\n",
		`{"v":1,"verb":"dance"}`+"\n", `{"v":1,"verb":"swap","args":{"command":[null]}}`+"\n", `{"v":1,"verb":"status"}`+"\n", "GET / HTTP/1.1\r\n\r\n")
}

// rubbish writes to a socket, which may be closed at any time, and hangs up.
func rubbish(c net.Conn, text string) {
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = io.WriteString(c, text)
	_ = c.Close()
}

// garbage harms nobody.
func (s *single) garbage(r *rand.Rand) step {
	var all []string
	for range 1 + r.IntN(10) {
		all = append(all, noise(r))
	}
	return step{text: fmt.Sprint(len(all), " times"), do: func() error {
		for _, text := range all {
			c, err := s.dialControl()
			if err != nil {
				return err
			}
			rubbish(c, text)
		}
		return nil
	}}
}

// flood: more clients than there is room for. Later there is room again.
func (s *single) flood(r *rand.Rand) step {
	n := 65 + r.IntN(60)
	return step{text: fmt.Sprint(n), do: func() error {
		s.hangUp()
		for range n {
			c, err := s.dialControl()
			if err != nil {
				return err
			}
			s.half = append(s.half, c)
		}
		s.hangUp()
		return s.room()
	}}
}

// room waits until the control socket answers.
func (b *box) room() error {
	return poll(b.ctx, "room for a client", func() (bool, error) {
		r, err := b.asks("version", nil)
		return err == nil && r.OK, nil // one that is not let in is cut off
	})
}

// halfRequest: the client stays, until it is cut off or everything comes to rest.
func (s *single) halfRequest(*rand.Rand) step {
	return step{do: func() error {
		c, err := s.dialControl()
		if err != nil {
			return err
		}
		_, err = io.WriteString(c, `{"v":1,"verb":"stop"`) // not a request without its newline
		s.half = append(s.half, c)
		return err
	}}
}

// orphans come to init, and are reaped.
func (s *single) orphans(r *rand.Rand) step {
	n, wait := 50+r.IntN(150), oneOf(r, "0", "0.01", "0.1")
	return step{text: fmt.Sprint(n, ", ", wait, " s"), do: func() error {
		return s.shell(orphans(n, wait))
	}}
}

// orphans is a script that leaves n of them, each for some seconds.
func orphans(n int, seconds string) string {
	return fmt.Sprintf("i=0; while [ $i -lt %d ]; do i=$((i+1)); (sleep %s & ) ; done", n, seconds)
}

// fullLog: nobody reads the log, which stops nothing.
func (s *single) fullLog(r *rand.Rand) step {
	n := 3 + r.IntN(5)
	return step{text: fmt.Sprint(n, " swaps"), do: func() (err error) {
		defer s.log.hold()()
		for range n {
			if err := s.fails(swapArgs{Command: []string{"/nonexistent/server"}}); err != nil {
				return err
			}
			if err := s.swapped(swapArgs{}); err != nil {
				return err
			}
			if err := s.calm(); err != nil {
				return err
			}
		}
		return nil
	}}
}

// messages go to the workers.
func (s *single) messages(r *rand.Rand) step {
	n := 1 + r.IntN(20)
	return step{text: fmt.Sprint(n), do: func() error {
		for i := range n {
			if _, err := s.must("message", map[string]any{"data": i}); err != nil {
				return err
			}
		}
		return nil
	}}
}
