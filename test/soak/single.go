package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/test/e2e/ns"
)

// single is one container whose server is swapped.
type single struct {
	*lap
	workers int
	adopted bool // its server binds for itself
	abrupt  bool // and dies at once when it is told to stop
	keep    bool // predecessors are kept until the next swap
	settle  bool // there is a settle time
	broken  bool // of -break: nothing protects what it has accepted

	command []string // the server's
	*box
	meter  meter
	active int        // the generation that has to serve
	half   []net.Conn // clients of the control socket that never end their line
}

func newSingle(l *lap, r *rand.Rand) *single {
	s := &single{lap: l, workers: oneOf(r, 1, 1, 3), adopted: r.IntN(3) == 0, abrupt: r.IntN(2) == 0, keep: r.IntN(2) == 0, settle: r.IntN(3) == 0}
	work, listen := oneOf(r, "5ms", "12ms"), oneOf(r, "tcp://"+web, ":8080")
	if l.soak.breaks {
		s.broken, s.abrupt, s.keep, s.settle, work = true, true, false, false, "20ms"
	}
	s.command = []string{l.soak.server, "-work", work}
	bind := "tcp4://" + web
	if listen == ":8080" {
		bind = "tcp4://0.0.0.0:8080"
	}
	if s.adopted {
		s.command = append(s.command, "-from", "none", "-ready", "none", "-bind", bind)
	}
	if s.abrupt {
		s.command = append(s.command, "-stop", "exit")
	}
	l.about = fmt.Sprintf("listen %s, workers %d, adopted %t, abrupt %t, keep %t, settle %t, work %s", listen, s.workers, s.adopted, s.abrupt, s.keep, s.settle, work)
	env := []string{"SWAPINIT_LISTEN=web=" + listen, "SWAPINIT_STEER=require", "SWAPINIT_WORKERS=" + strconv.Itoa(s.workers),
		"SWAPINIT_RETIRE_TIMEOUT=10m", "SWAPINIT_READY_TIMEOUT=5m", "SWAPINIT_MAX_GENERATIONS=100", "SWAPINIT_SETTLE=0"}
	if s.settle {
		env = append(env, "SWAPINIT_SETTLE=1s")
	}
	if s.keep {
		env = append(env, "SWAPINIT_KEEP=1h")
	}
	switch {
	case s.broken:
		env = append(env, "SWAPINIT_DRAIN=off")
	case s.abrupt: // it is told to stop only when nothing can be lost by it
		env = append(env, "SWAPINIT_DRAIN_TIMEOUT=1h", "SWAPINIT_IDLE_AFTER=200ms")
	default: // its clients are never idle; it finishes what it has
		env = append(env, "SWAPINIT_DRAIN_TIMEOUT=1s")
	}
	s.box = &box{env: env}
	return s
}

// with is the server's command line with more flags.
func (s *single) with(flags ...string) []string {
	return append(append([]string(nil), s.command...), flags...)
}

func (s *single) begin() (err error) {
	if s.box, err = s.start("single", ns.Config{Env: s.box.env, Args: append([]string{"--"}, s.command...)}); err != nil {
		return err
	}
	s.meter.box, s.meter.anon, s.active = s.box, moreAnon, 1
	err = poll(s.lap.ctx, "the first generation", func() (bool, error) {
		if s.ended() {
			return false, errors.New("it has ended")
		}
		r, err := s.asks("health", nil)
		return err == nil && r.OK, nil
	})
	if err != nil {
		return err
	}
	s.lap.load = startLoad(s.box, s.abrupt && !s.broken)
	return s.lap.load.more(s.lap.ctx, 20)
}

// few is how many generations may live when an action begins: a drain takes its time, and
// 14 at most have sockets of their own.
const few = 4

// calm waits until no swap runs and there are few generations, and fails unless the right
// one is active, and serves.
func (s *single) calm() error {
	err := s.await("the end of all swaps", func(t *status) bool { return t.Swap == nil && len(t.Generations) <= few })
	if err != nil {
		return err
	}
	t, err := s.status()
	if err != nil {
		return err
	}
	if n, err := t.active(); err != nil || n != s.active {
		return errors.Join(err, fmt.Errorf("generation %d is active, want %d: %v", n, s.active, t))
	}
	return s.servedBy("generation " + strconv.Itoa(s.active))
}

// alone waits until the active generation is the only one.
func (s *single) alone() error {
	if s.keep {
		if _, err := s.asks("promote", nil); err != nil { // there may be nothing to promote
			return err
		}
	}
	return s.await("one generation", func(t *status) bool { return t.Swap == nil && len(t.Generations) == 1 })
}

// quiet leaves nothing but the active generation. The last swap begins with that alone, so
// that no overlap has left a spare socket.
func (s *single) quiet() error {
	s.hangUp()
	if err := s.alone(); err != nil {
		return err
	}
	if err := s.swapped(swapArgs{}); err != nil {
		return err
	}
	return errors.Join(s.alone(), s.calm(), s.onlyServers(s.workers), s.swaps(&s.soak.totals))
}

// onlyServers waits until nothing is in the container but init and n processes, none of
// them a zombie.
func (b *box) onlyServers(n int) error {
	var left []string
	err := poll(b.ctx, "all others to be reaped", func() (bool, error) {
		left = nil
		for _, p := range b.Procs() {
			left = append(left, fmt.Sprintf("%d %s %s", p.Pid, p.Name, p.State))
		}
		return len(left) == n+1 && !strings.Contains(strings.Join(left, ","), " Z"), nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w, there are %q", b.name, err, left)
	}
	return nil
}

func (s *single) spare() (bool, error) { return s.meter.spare() }

func (s *single) measure() error { return s.meter.measure(&s.soak.totals) }

func (s *single) usages() []string {
	if !s.meter.warm {
		return nil
	}
	return []string{s.meter.String()}
}

func (s *single) end() error {
	s.hangUp()
	s.lap.load.stop()
	if err := s.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return errors.Join(s.lap.load.lost(), s.exits(0))
}

// hangUp closes the clients that were left on the control socket.
func (s *single) hangUp() {
	for _, c := range s.half {
		_ = c.Close()
	}
	s.half = nil
}

// swapped is a swap that has to succeed.
func (s *single) swapped(args swapArgs) error {
	r, err := s.must("swap", args)
	if err == nil {
		s.active = r.Generation
	}
	return err
}

// fails is a swap that has to fail.
func (s *single) fails(args swapArgs) error {
	r, err := s.asks("swap", args)
	if err == nil && (r.OK || r.Code != "" || r.Error == "") {
		err = fmt.Errorf("the swap of a successor that fails: %+v", r)
	}
	return err
}

// pidOf is a process of a generation; which chooses among its workers.
func (s *single) pidOf(n, which int) (int, error) {
	t, err := s.status()
	if err != nil {
		return 0, err
	}
	g := t.of(n)
	if g == nil || len(g.Pids) == 0 {
		return 0, fmt.Errorf("generation %d has no process: %v", n, t)
	}
	return g.Pids[which%len(g.Pids)], nil
}

// begun waits until a swap has started its successor, and returns that.
func (s *single) begun() (n int, err error) {
	err = s.await("a successor", func(t *status) bool {
		if t.Swap == nil || t.Swap.Stage != "starting" {
			return false
		}
		g := t.of(t.Swap.Generation)
		n = t.Swap.Generation
		return g != nil && len(g.Pids) == s.workers
	})
	return n, err
}

// aside runs f beside what follows; the func that it returns waits for f's error.
func aside(f func() error) func() error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return func() error { return <-done }
}
