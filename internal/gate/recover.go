package gate

import (
	"cmp"
	"errors"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/arbiter"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/text"
)

// A gate that starts again on the same network namespace finds the ports of its endpoints
// taken: the members still have the sockets, and get the connections. So it first lets the
// members come, and opens the endpoints with the sockets that they bring. While somebody
// has one that is not among these the kernel says that the port is in use.

const (
	gatherTime  = 10 * time.Second // for members to bring their sockets
	gatherGrace = time.Second      // for the others, once those with the traffic are here
)

// gather is the time until the endpoints are open. It is the loop's.
type gather struct {
	specs   []listen.Spec
	until   time.Duration
	sockets []savedSocket // what the last gate has lent; none: nobody knows
	hellos  []*hello
	holder  time.Duration // when whoever has the traffic was here, or 0
	trying  bool
	doomed  []int // descriptors of those who have gone during a try
}

// hello is a member that waits for the endpoints. Its sockets are fds.
type hello struct {
	s   *session
	m   *gatewire.Message
	fds []int
	had bool // the endpoints have been opened with its sockets
}

// options are those of the endpoints.
func (g *Gate) options() Options {
	return Options{
		Report: func(line string) { g.warn("endpoint", line) },
		Failed: func(endpoint string, err error) { g.warn("endpoint", "endpoint "+endpoint+": "+err.Error()) },
	}
}

// openEndpoints opens the endpoints, or begins to gather their sockets. lost: there was a
// state file, and it was of no use.
func (g *Gate) openEndpoints(specs []listen.Spec, state *saved, lost bool) (err error) {
	g.endpoints, err = Open(specs, g.options())
	known := len(state.Sockets) > 0 && state.Netns == netns()
	if err == nil || !errors.Is(err, syscall.EADDRINUSE) || !known && !lost {
		return err
	}
	g.gather = &gather{specs: specs, until: g.now() + gatherTime, sockets: state.Sockets}
	g.info("gather", "the endpoints are in use: the members of the last gate have their sockets, and are to bring them")
	return nil
}

// bring notes a hello and what comes with it.
func (g *Gate) bring(h *hello) {
	c := g.gather
	c.hellos = append(c.hellos, h)
	if c.holder == 0 && h.m.State == string(gatewire.Holder) && len(h.fds) > 0 {
		c.holder = max(1, g.now())
	}
	g.gathered()
}

// forget: the connection has ended.
func (c *gather) forget(s *session) {
	for i, h := range c.hellos {
		if h.s == s {
			c.hellos = append(c.hellos[:i:i], c.hellos[i+1:]...)
			c.drop(h.fds)
			return
		}
	}
}

// drop closes descriptors, after the try that may use them.
func (c *gather) drop(fds []int) {
	if c.trying {
		c.doomed = append(c.doomed, fds...)
	} else {
		closeAll(fds)
	}
}

// due is when the endpoints are to be opened: everybody is here, or who has the traffic
// and most others are, or there is no more time.
func (c *gather) due() time.Duration {
	missing := len(c.sockets) == 0
	for _, s := range c.sockets {
		here := false
		for _, h := range c.hellos {
			here = here || h.s.member == s.Container
		}
		missing = missing || !here
	}
	switch {
	case c.trying:
		return c.until + gatherTime // it ends by itself
	case !missing:
		return 0
	case c.holder != 0:
		return min(c.until, c.holder+gatherGrace)
	}
	return c.until
}

// kept are the sockets that are here, and the slot of those that have the traffic.
func (g *Gate) kept() (list []Kept, holder int) {
	g.slots = newSlots()
	epoch := int64(-1)
	for _, h := range g.gather.hellos {
		for i, fd := range h.fds {
			if k, ok := g.usable(h.s, h.m.Sockets[i], fd); ok {
				list = append(list, k)
			}
		}
		n, ok := g.slots.find(arbiter.Slot{Member: h.s.member, Generation: h.m.Generation})
		if ok && n != 0 && h.m.State == string(gatewire.Holder) && h.m.Epoch > epoch {
			holder, epoch = n, h.m.Epoch
		}
	}
	return list, holder
}

// usable has a socket that a member has brought in a slot of its own, if it is one that a
// gate of this network namespace has lent it.
func (g *Gate) usable(s *session, of gatewire.Socket, fd int) (k Kept, ok bool) {
	err := Usable(fd, nil)
	number, failed := cookie(fd)
	lent := len(g.file.lent) == 0
	for _, l := range g.file.lent {
		lent = lent || l == savedSocket{s.member, of.Generation, of.Endpoint, number}
	}
	if err == nil && failed == nil && !lent {
		err = errors.New("no gate has lent it")
	}
	if err = cmp.Or(err, failed); err == nil {
		k = Kept{Endpoint: of.Endpoint, FD: fd}
		if k.Slot, ok = g.slots.restore(arbiter.Slot{Member: s.member, Generation: of.Generation}, of.Endpoint, number); ok {
			return k, true
		}
		err = errors.New("it has too many")
	}
	g.debug("socket", "cannot use a socket that "+g.describe(s)+" has brought: "+err.Error())
	return k, false
}

// gathered opens the endpoints with the sockets that are here, when it is time.
func (g *Gate) gathered() {
	c := g.gather
	if g.now() < c.due() {
		return
	}
	o := g.options()
	o.Kept, o.Holder = g.kept()
	c.trying = true
	hellos := c.hellos[:len(c.hellos):len(c.hellos)]
	var opened *Endpoints
	var err error
	g.move(func() { opened, err = Open(c.specs, o) }, func() {
		c.trying = false
		c.drop(c.doomed)
		c.doomed = nil
		if err != nil {
			g.fail("start.failed", text.Sprintf("%v; %s of the last gate came within %v, so somebody else has it", err, plural(len(hellos), "member", "members"), gatherTime))
			g.status, g.exiting = exitOwn, true
			return
		}
		g.opened(opened, hellos)
	})
}

// opened goes on with the start: the sockets of those members are in use.
func (g *Gate) opened(e *Endpoints, with []*hello) {
	g.endpoints = e
	here := g.gather.hellos
	g.gather = nil
	for _, h := range with {
		h.had = true
		if g.sessions[h.s.id] == nil {
			g.drop(h.s.member) // it has gone since
		}
	}
	for _, h := range here {
		if h.had {
			closeAll(h.fds) // Endpoints has its own
			h.fds = nil
		}
		g.join(h)
	}
	g.step(&arbiter.Tick{})
	g.remember()
	g.info("gather", "the endpoints are open again, with the sockets of "+plural(len(with), "member", "members"))
}

// takeBack has the endpoints take the sockets that come with a hello after they are open,
// and then does what follows. fds are closed.
func (g *Gate) takeBack(h *hello, then func()) {
	var list []Kept
	for i, fd := range h.fds {
		if k, ok := g.usable(h.s, h.m.Sockets[i], fd); ok {
			list = append(list, k)
		}
	}
	var failed []Kept
	g.move(func() {
		for _, k := range list {
			if err := g.endpoints.Take(k); err != nil {
				g.debug("socket", "cannot take back a socket of "+k.Endpoint+": "+err.Error())
				failed = append(failed, k)
			}
		}
		closeAll(h.fds)
	}, func() {
		names := g.slots.names()
		for _, k := range failed {
			g.slots.left(names[k.Slot], k.Endpoint)
		}
		g.remember()
		then()
	})
}
