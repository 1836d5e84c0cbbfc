package pid1

import (
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/swap"
)

// probeTime bounds one run of an exec: probe, or one try of a canary's check.
const probeTime = 10 * time.Second

// probe starts whatever has to be asked, rather than waited for, to learn that
// a worker is ready. It ends with readiness or with the worker.
func (i *Init) probe(w *worker) {
	switch {
	case i.mode.Probe != nil:
	case i.mode.Accepts != 0: // the worker itself speaks
		if i.mode.Accepts&ready.OnSocket != 0 {
			i.watchSocket(w)
		}
		if i.mode.Observes && i.adoption.on() {
			i.observe(w)
		}
		return
	default:
		i.ready(w)
		return
	}
	c := i.candidate(w, &i.mode, ready.TryTime)
	stop := make(chan struct{})
	w.stopProbes = sync.OnceFunc(func() { close(stop) })
	ask := func(stop <-chan struct{}) error { return i.mode.Probe(c, stop) }
	failed := func(err error) { i.post(func() { i.from(w, swap.Note, "last probe: "+err.Error(), 0) }) }
	go ready.Poll(stop, ready.Every, ask, failed, func() { i.post(func() { i.ready(w) }) })
}

// candidate is w as a probe sees it, which has that much time for one try.
func (i *Init) candidate(w *worker, mode *ready.Mode, patience time.Duration) *candidate {
	c := &candidate{worker: w, launcher: i.launcher, patience: patience, check: i.steering.checkAddress}
	if e := i.probed(mode); e != nil {
		c.endpoint = e
		c.dial = func(to netip.AddrPort) (*os.File, error) {
			e := e.reached(to.Addr())
			if why := e.whyShared(); why != "" {
				return nil, errors.New("the probe cannot be steered to the successor: " + why)
			}
			return e.tcp.Dial(w.g.number, to)
		}
	}
	return c
}

// watchSocket looks, less and less often, whether the notification socket is where w
// looks for it, until it is ready. An entrypoint may empty /run before its server comes.
func (i *Init) watchSocket(w *worker) {
	stop, socket := make(chan struct{}), w.notify
	w.stopProbes = sync.OnceFunc(func() { close(stop) })
	go func() {
		for wait := ready.Every; !socket.Lost(); wait *= 2 {
			select {
			case <-stop:
				return
			case <-clock.After(wait):
			}
		}
		what := "its NOTIFY_SOCKET " + socket.Address() + " was removed, so that READY=1 cannot come there; does the entrypoint empty that directory?"
		i.post(func() {
			if w.readyAfter == 0 && !w.ended.Load() {
				i.about(logline.Warn, "notify", w, ": "+what)
				i.from(w, swap.Note, what, 0)
			}
		})
	}()
}

// candidate is a worker as a probe sees it: a ready.Worker.
type candidate struct {
	*worker
	launcher *launcher
	dial     ready.Dial
	endpoint *endpoint // that is probed, or nil
	patience time.Duration
	check    func(n int) string // see steering.checkAddress
}

func (c *candidate) Dial() ready.Dial { return c.dial }

func (c *candidate) Patience() time.Duration { return c.patience }

func (c *candidate) Accepted(conn *os.File) error {
	from, err := localOf(conn)
	if err != nil {
		return err
	}
	return c.endpoint.reached(from.Addr()).accepted(c.g.number, conn)
}

func (c *candidate) Run(command []string, stop <-chan struct{}) error {
	env := []string{c.variable()}
	if at := c.check(c.g.number); at != "" {
		env = append(env, "SWAPINIT_CHECK_ADDRESS="+at)
	}
	return c.launcher.run(&helper{command: command, generation: c.g.number, env: env, stdout: -1, stderr: -1, limit: probeTime, stop: stop})
}

func (c *candidate) Listens(port uint16) (yes, sure bool) {
	endpoints := c.launcher.inodes(c.g.number)
	var some []uint64
	for inode, at := range procnet.Listening() {
		if (port == 0 || at == port) && !slices.Contains(endpoints, inode) {
			some = append(some, inode)
		}
	}
	// With more than one worker those that have left its tree and its group are
	// nobody's in particular.
	own := c.tree
	if len(c.g.workers) == 1 {
		own = func(table []process) []process { return c.launcher.procs.members(c.g, table, map[life]mark{}) }
	}
	held, seen := holds(own(snapshot()), some)
	return held, seen && (port == 0 || len(some) > 0)
}
