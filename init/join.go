package pid1

import (
	"encoding/binary"
	"errors"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/member"
	"github.com/swapinit/swapinit/signals"
	"golang.org/x/sys/unix"
)

// errStopped: told to stop before anything was started.
var errStopped = errors.New("told to stop before the gate was there")

// exitTerm is the status of what a TERM has ended.
const exitTerm = 128 + int(syscall.SIGTERM)

// lateTries is how many tries to reach the gate fail before the log says so: one and a half
// seconds of them.
const lateTries = 5

// join waits for the gate and says hello. Until then no child runs, and a stop signal is
// the end. The verbs are answered meanwhile: nobody else tells what it waits for.
func (i *Init) join() error {
	if i.set.Gate == "" {
		return nil
	}
	stop, joined := make(chan struct{}), make(chan struct{})
	w := &waiting{gate: i.set.Gate, version: i.opt.Version, stop: sync.OnceFunc(func() { close(stop) })}
	if err := i.openControl(); err != nil {
		return err
	}
	if i.server != nil {
		i.serve(func(c *control.Call) {
			if !w.answer(c) {
				i.post(func() { i.answer(c) })
			}
		})
	}
	go func() {
		policy := signals.Policy{StopSignals: i.set.StopSignals}
		for {
			select {
			case <-joined:
				return
			case sig := <-i.opt.Signals:
				if kind, _ := policy.Decide(sig.(syscall.Signal)); kind == signals.Stop {
					w.stop()
					return
				}
			}
		}
	}()
	m, welcome, err := member.Join(member.Options{Path: i.set.Gate, Container: member.Container(), Release: i.set.Release, Life: newLife(),
		Timeout: i.set.ReadyTimeout, Interrupt: stop, Failed: func(n int, why string) {
			w.failed(why)
			if n == lateTries {
				i.info("gate.wait", "waiting for the gate at "+i.set.Gate+": "+why, 0, 0)
			}
		}})
	close(joined)
	w.end()
	select {
	case <-stop:
		return errStopped
	default:
	}
	if err != nil {
		return err
	}
	i.gate = &membership{member: m, path: i.set.Gate, role: welcome.Role, epoch: welcome.Epoch, endpoints: welcome.Endpoints, healthy: welcome.Healthy}
	i.debug("gate.joined", "joined the gate at "+i.set.Gate+" as "+string(welcome.Role), 0, 0)
	return nil
}

// waiting is an init that waits for its gate, and has no loop yet that could answer.
type waiting struct {
	gate    string
	version string
	stop    func()

	mu   sync.Mutex
	why  string // the last try has failed, "" where none has
	over bool
}

func (w *waiting) failed(why string) {
	w.mu.Lock()
	w.why = ": " + why
	w.mu.Unlock()
}

func (w *waiting) end() {
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
}

// answer answers a client; false: that is for the loop.
func (w *waiting) answer(c *control.Call) bool {
	w.mu.Lock()
	why, over := w.why, w.over
	w.mu.Unlock()
	switch {
	case over:
		return false
	case c.Verb == control.VerbVersion:
		c.Done(&control.Reply{OK: true, Version: w.version})
	case c.Verb == control.VerbStop:
		c.Done(&control.Reply{OK: true})
		w.stop()
	default:
		c.Done(&control.Reply{Error: "no server runs yet, it waits for the gate at " + w.gate + why})
	}
	return true
}

// newLife tells this run of the init from an earlier one in the same container.
func newLife() string { return strconv.FormatUint(random(), 16) }

func random() uint64 {
	var b [8]byte
	if _, err := unix.Getrandom(b[:], 0); err != nil {
		return uint64(time.Now().UnixNano())
	}
	return binary.NativeEndian.Uint64(b[:])
}
