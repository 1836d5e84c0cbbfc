package pid1

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/control"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/steer"
	"github.com/swapinit/swapinit/swap"
)

// steered is an endpoint of which each generation can have its own socket: a
// steer.Group for TCP, a listen.Paths for a Unix path. Both say in detail what
// the methods do; all may be called from any goroutine.
type steered interface {
	Socket(generation int) (fd int, inode uint64, ok bool)
	Add(generation int) error
	Join(generation int)
	Aim(to, rest, share int) error
	Leave(generation int)
	Share(generation int) (share int, ok bool)
	Observe(generation int) func(idleAfter time.Duration) (open, idle, half, queued int, err error)
	Reason() string
	SetShared(reason string)
}

// steering is all endpoints, as far as connections to them can be steered.
type steering struct {
	all    []endpoint
	probed sync.Once
	broken error // what the probe found; set once
	said   map[string]string
}

// endpoint is one of listen.Set's, with the same index.
type endpoint struct {
	listen.Endpoint
	group  steered      // nil: one socket is shared, for the reason
	tcp    *steer.Group // group, where it is one
	reason string
}

// openSteering gives the endpoints to groups. Its error is one that keeps
// swapinit from starting.
func (i *Init) openSteering() error {
	for n, e := range i.endpoints.Endpoints() {
		s := endpoint{Endpoint: e}
		switch {
		case i.set.Steer == "off":
			s.reason = "SWAPINIT_STEER=off"
		case e.Inherited:
			s.reason = "its socket was inherited"
		case e.Network == "unix":
			paths := i.endpoints.Paths(n)
			s.group = paths
			for _, name := range [...]string{"NGINX", "FPM_SOCKETS"} {
				if lookup(i.opt.Environ, name) != "" {
					// They know it by its name, which is another one for each generation.
					paths.SetShared("the server finds its sockets by their names (" + name + ")")
				}
			}
		case !isTCP(e):
			s.reason = "only TCP and Unix endpoints can be steered"
		default:
			if err := i.openGroup(n, &s); err != nil {
				s.reason = err.Error()
				if i.set.Steer == "require" {
					return fmt.Errorf("SWAPINIT_STEER=require: cannot steer connections to endpoint %s: %w", e.Name, err)
				}
			}
		}
		i.steering.all = append(i.steering.all, s)
	}
	if i.set.Steer == "require" {
		if err := i.probeSteering(); err != nil {
			return fmt.Errorf("SWAPINIT_STEER=require: cannot steer connections here: %w", err)
		}
	}
	return nil
}

func isTCP(e listen.Endpoint) bool {
	return e.Network == "tcp" || e.Network == "tcp4" || e.Network == "tcp6"
}

func (i *Init) openGroup(n int, s *endpoint) error {
	first, opener := i.endpoints.First(n)
	group, err := steer.New(first, 1, steer.Options{
		Open:    opener,
		Backlog: s.Backlog,
		Watch:   i.endpoints.Watch,
		Unwatch: i.endpoints.Unwatch,
	})
	if err != nil {
		return err
	}
	i.endpoints.Steer(n, group)
	s.group, s.tcp = group, group
	return nil
}

// probeSteering finds out, once, whether the kernel steers here. It takes part of
// a millisecond, which the first child need not wait for.
func (i *Init) probeSteering() error {
	i.steering.probed.Do(func() {
		any := false
		for _, e := range i.steering.all {
			any = any || e.tcp != nil
		}
		if !any {
			return
		}
		if i.steering.broken = steer.Probe(); i.steering.broken == nil {
			return
		}
		for _, e := range i.steering.all {
			if e.tcp != nil {
				e.tcp.SetShared(i.steering.broken.Error())
			}
		}
	})
	return i.steering.broken
}

// whyShared is why the endpoint's socket is shared, "" if it is not.
func (e *endpoint) whyShared() string {
	if e.group == nil {
		return e.reason
	}
	return e.group.Reason()
}

// give makes sure that generation n has a socket for each endpoint. cautious: it
// is to get only a share of the connections at first, or its predecessor is to be
// kept, neither of which a shared socket can do.
func (i *Init) give(n int, cautious, together bool) (listen.Given, error) {
	if n > 1 {
		_ = i.probeSteering() // the groups know what it has found
	}
	steers, why := false, "there is no endpoint"
	for k := range i.steering.all {
		e := &i.steering.all[k]
		if e.group != nil {
			if together {
				e.group.Join(n)
			}
			if err := e.group.Add(n); err != nil {
				return listen.Given{}, err
			}
		}
		if why = e.whyShared(); why == "" {
			steers = true
		}
	}
	if cautious && !steers {
		return listen.Given{}, errors.New("SWAPINIT_CANARY and SWAPINIT_KEEP need an endpoint that is steered, and none is: " + why)
	}
	if n > 1 {
		i.post(i.sayShared)
	}
	return i.endpoints.Generation(n), nil
}

// sayShared logs which endpoints are not steered, and why, when that has changed.
func (i *Init) sayShared() {
	if i.set.Steer == "off" {
		return // by the user's own will
	}
	for k := range i.steering.all {
		e := &i.steering.all[k]
		why := e.whyShared()
		if i.steering.said[e.Name] == why || e.group == nil && !isTCP(e.Endpoint) {
			continue // no news, or so by its nature
		}
		i.steering.said[e.Name] = why
		if why != "" {
			i.info("steer.shared", "endpoint "+e.Name+": all generations share one socket: "+why, 0, 0)
		} else {
			i.info("steer.on", "endpoint "+e.Name+": each generation has its own socket again", 0, 0)
		}
	}
}

// lookForStrangers warns of a server that listens on an endpoint's address with
// sockets of its own. Steered connections do not go there.
func (i *Init) lookForStrangers(g *generation) {
	for k := range i.steering.all {
		e := &i.steering.all[k]
		if e.tcp == nil {
			continue
		}
		if n, err := e.tcp.Foreign(); err == nil && n > 0 {
			i.warn("steer.strangers", "endpoint "+e.Name+": somebody listens on its address too, with "+itoa(n)+
				" sockets of its own (SO_REUSEPORT): connections go to the socket that swapinit has passed on", g.number, 0)
		}
	}
}

// aim is where new connections are to go: share of them to generation to, the
// others to rest.
type aim struct{ to, rest, share int }

// aimAgain is the time to the next try of a move that the kernel refused.
const aimAgain = 100 * time.Millisecond

// steer moves new connections.
func (i *Init) steer(a aim) {
	i.aimed, i.unaimed = a, false
	failed := false
	for k := range i.steering.all {
		e := &i.steering.all[k]
		if e.group == nil {
			continue
		}
		if _, _, ok := e.group.Socket(a.to); !ok {
			// It is just being started, because the one that served is dead.
			// It gets that one's sockets, or is steered to when it is forked.
			i.unaimed = true
			continue
		}
		if err := e.group.Aim(a.to, a.rest, a.share); err != nil {
			failed = true // the kernel is out of memory, say
			i.fail("steer.failed", "cannot move the connections of endpoint "+e.Name+", trying again: "+err.Error(), a.to)
		}
	}
	i.astray.Store(failed)
	switch {
	case !failed:
		i.retries = 0
	case !i.retrying:
		i.retrying = true
		wait := aimAgain << min(i.retries, 7)
		i.retries++
		time.AfterFunc(wait, func() {
			i.post(func() {
				i.retrying = false
				i.steer(i.aimed)
			})
		})
	}
}

// leaveSockets takes a generation's sockets out of their groups. What waits in
// them, that is, what nobody accepts any more, is reset.
func (i *Init) leaveSockets(n int) {
	for k := range i.steering.all {
		if g := i.steering.all[k].group; g != nil {
			g.Leave(n)
		}
	}
}

// drain watches the connections of a predecessor.
func (i *Init) drain(g *generation) {
	stop := make(chan struct{})
	g.stopDrain = sync.OnceFunc(func() { close(stop) })
	say := func(k swap.GenerationKind, reason string) {
		i.post(func() { i.happened(k, g.number, reason) })
	}
	go func() {
		d := steer.Drain{IdleAfter: i.set.IdleAfter, Gone: i.set.Drain == "gone"}
		for k := range i.steering.all {
			if group := i.steering.all[k].group; group != nil {
				if look := group.Observe(g.number); look != nil {
					d.Looks = append(d.Looks, look)
				}
			}
		}
		if len(d.Looks) == 0 {
			say(swap.Drained, "its successor is active")
			return
		}
		// As long as connections still go to it, it must not be told to stop.
		d.Looks = append(d.Looks, func(time.Duration) (open, idle, half, queued int, err error) {
			if i.astray.Load() {
				half = 1
			}
			return 0, 0, half, 0, nil
		})
		d.Busy = func(open, idle int) {
			say(swap.Busy, strconv.Itoa(open)+" connections open, "+strconv.Itoa(idle)+" idle")
		}
		d.Error = func(err error) {
			i.warn("drain", "cannot count the connections of "+named(g.number)+": "+err.Error(), g.number, 0)
		}
		if d.Run(stop) {
			reason := "its connections are idle"
			if d.Gone {
				reason = "its connections are closed"
			}
			say(swap.Drained, reason)
		}
	}()
}

// probed is the group of an endpoint that an http:// probe addresses, nil if the
// address is no endpoint.
func (i *Init) probed() (e *endpoint) {
	for k := range i.steering.all {
		if e := &i.steering.all[k]; e.Addr != (netip.AddrPort{}) && i.mode.On(e.Addr) {
			return e
		}
	}
	return nil
}

// stages translates those of the settings for the machine.
func stages(list []config.Stage) (canary []swap.Canary) {
	for _, s := range list {
		canary = append(canary, swap.Canary{Share: s.Share, For: s.For})
	}
	return canary
}

// reportSteering adds to a status which endpoints are steered, and what that
// tells of each generation.
func (i *Init) reportSteering(s *control.Status) {
	of := map[int]*control.Generation{}
	for n := range s.Generations {
		of[s.Generations[n].Generation] = &s.Generations[n]
	}
	for k := range i.steering.all {
		e := &i.steering.all[k]
		why := e.whyShared()
		s.Endpoints = append(s.Endpoints, control.Endpoint{Name: e.Name, Address: e.Address, Inherited: e.Inherited, Steered: why == "", Reason: why})
		if e.group == nil {
			continue
		}
		count := func(n, open, idle, queued int) {
			if g := of[n]; g != nil {
				add(&g.Open, open)
				add(&g.Idle, idle)
				add(&g.Queued, queued)
			}
		}
		var err error
		if e.tcp != nil {
			err = e.tcp.Counts(i.set.IdleAfter, count) // all from one look
		}
		for n, g := range of {
			// Paths have no shares but all and nothing: where there is a TCP
			// endpoint, that one tells more.
			if share, ok := e.group.Share(n); ok && (g.Share == nil || e.tcp != nil) {
				g.Share = &share
			}
			if e.tcp != nil || err != nil {
				continue
			}
			if look := e.group.Observe(n); look != nil {
				var open, idle, queued int
				open, idle, _, queued, err = look(i.set.IdleAfter)
				count(n, open, idle, queued)
			}
		}
		if err != nil {
			i.warn("steer.counts", "cannot count the connections of endpoint "+e.Name+": "+err.Error(), 0, 0)
		}
	}
}

func add(to **int, n int) {
	if *to == nil {
		*to = new(int)
	}
	**to += n
}
