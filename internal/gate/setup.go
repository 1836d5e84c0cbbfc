package gate

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/arbiter"
	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/reaper"
)

// open does what can fail before anybody relies on the gate.
func (g *Gate) open() error {
	if os.Getpid() == 1 {
		reaper.New(reaper.Options{}) // it starts nothing, but orphans come to it
	}
	specs, err := listen.Parse(g.set.Listen)
	if err != nil {
		return text.Errorf("SWAPINIT_LISTEN: %w", err)
	}
	for i := range specs {
		if strings.HasPrefix(specs[i].Network, "udp") {
			return errors.New("SWAPINIT_LISTEN: " + specs[i].Text + " is UDP, which a gate cannot have yet: let the container that serves it open it")
		}
	}
	state, lost, err := g.openVolume()
	if err != nil {
		return err
	}
	g.file.now = *state
	g.file.now.Netns, g.file.lent = netns(), state.Sockets
	g.arbiter = arbiter.New(state.arbiter(), state.Holder != "")
	if err := g.openEndpoints(specs, state, lost); err != nil {
		return err
	}
	if g.listener, err = gatewire.Listen(g.set.Gate); err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return text.Errorf("%w: another gate is running there", err)
		}
		return err
	}
	go g.acceptAll()
	return g.openControl()
}

// openVolume takes what is on the volume into use: lock, state, the copy of this program.
// A gate at an abstract name has none, and forgets everything when it ends.
func (g *Gate) openVolume() (state *saved, lost bool, err error) {
	if strings.HasPrefix(g.set.Gate, "@") {
		return &saved{}, false, nil
	}
	if g.lock, err = takeLock(g.set.Gate, self()); err != nil {
		return nil, false, err
	}
	state, warning, err := openState(g.set.Gate)
	if err != nil {
		return nil, false, err
	}
	if warning != "" {
		g.warn("state", warning)
	}
	g.file.name = g.set.Gate + ".state"
	if err := shareProgram(g.set.Gate); err != nil {
		g.warn("copy", err.Error())
	}
	return state, warning != "", nil
}

// openControl opens the control socket, as package pid1 does.
func (g *Gate) openControl() (err error) {
	handle := func(c *control.Call) { g.post(func() { g.verb(c) }) }
	if g.metrics, err = listen.OpenOwn(g.set.Metrics); err != nil {
		return text.Errorf("cannot use SWAPINIT_METRICS=%q: %w", g.set.Metrics, err)
	}
	if g.metrics != nil {
		go control.ServeMetrics(g.metrics.File, handle)
	}
	if g.set.Control == "off" {
		return nil
	}
	server, err := control.Listen(g.set.Control, os.Getpid(), g.uid)
	switch {
	case err == nil:
		g.server = server
		server.Serve(handle, func(line string) { g.warn("control", line) })
	case g.set.Control == "auto":
		g.warn("control", err.Error())
	default:
		return text.Errorf("cannot use SWAPINIT_CONTROL=%q: %w; want auto, off, an absolute path or @name", g.set.Control, err)
	}
	return nil
}

const acceptPause = 100 * time.Millisecond

// acceptAll is the goroutine that accepts members.
func (g *Gate) acceptAll() {
	for {
		conn, err := g.listener.Accept()
		switch {
		case errors.Is(err, os.ErrClosed):
			return
		case err != nil:
			// No descriptor is left, say: the connection waits, and to try at once would spin.
			g.post(func() { g.stranger(err.Error()) })
			<-clock.After(acceptPause)
			continue
		}
		peer, err := conn.Peer()
		if err != nil {
			conn.Close()
			continue
		}
		g.post(func() { g.accept(conn, peer.Uid) })
	}
}
