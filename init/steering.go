package pid1

import (
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/swapinit/swapinit/internal/doctor"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/member"
	"github.com/swapinit/swapinit/internal/netip"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/internal/steer"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/swap"
)

// steering is all endpoints, as far as connections to them can be steered.
type steering struct {
	probed sync.Once
	broken error // what the probe found; set once

	unmoved func(e *endpoint, to int, err error) // a move to a generation failed and is tried again; from any goroutine

	mu  sync.Mutex  // of what follows, and of the endpoints' said
	all []*endpoint // never changed in place: see list

	// The loop's:
	pending  int           // moves that it does not wait for
	yielding int           // the gate is to know first that connections are not for us any more
	held     []swap.Effect // signals that wait for them
}

// endpoint is one of listen.Set's.
type endpoint struct {
	listen.Endpoint
	index  int           // in listen.Set.Endpoints
	joined bool          // it is not among those: see adoption
	group  steer.Group   // nil: one socket is shared, for the reason
	moves  *steer.Mover  // group's
	tcp    tcpGroup      // group, where it is one
	remote *member.Group // group, where a gate has the sockets
	relay  *relay        // to its generation that is checked; nil: none is needed. Under steering.mu
	reason string
	said   string // the reason in the log

	// For servers that bind for themselves: see adoption.
	twin atomic.Pointer[endpoint] // of the other address family, or nil; adoption's
	of   *endpoint                // whose twin it is, or nil
}

// tcpGroup is a group of TCP sockets: ours (steer.TCP, see local), or a gate's.
type tcpGroup interface {
	steer.Group
	// Dial connects to the address so that generation n gets the connection.
	Dial(n int, to netip.AddrPort) (conn *os.File, err error)
	Accepted(from netip.AddrPort) (bool, error)
	Foreign() (int, error)
	Peer() (from string, known bool, err error)
	Unseen() string
	Sleep()
	Wake() error
	Asleep() bool
}

// local is a group of our own.
type local struct{ *steer.TCP }

func (l local) Dial(n int, to netip.AddrPort) (conn *os.File, err error) {
	fd, err := l.Connect(n, to)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "probe"), nil
}

// list has all endpoints. They come and go with adoption only.
func (s *steering) list() []*endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

// groups has those that have a group.
func (s *steering) groups() (list []*endpoint) {
	for _, e := range s.list() {
		if e.group != nil {
			list = append(list, e)
		}
	}
	return list
}

func (s *steering) add(e *endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(slices.Clip(s.all), e)
}

func (s *steering) remove(e *endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(slices.Clone(s.all), func(other *endpoint) bool { return other == e })
}

// steer gives an endpoint to a group.
func (s *steering) steer(e *endpoint, g steer.Group) {
	e.group = g
	e.moves = &steer.Mover{Group: g, Failed: func(to int, err error) { s.unmoved(e, to, err) }}
}

// unmoved ends a canary whose share stays where it was: nothing would be tried on it. Other
// moves are tried again.
func (i *Init) unmoved(e *endpoint, to int, err error) {
	i.fail("steer.failed", "cannot move the connections of endpoint "+e.Name+", trying again: "+err.Error(), to)
	i.post(func() {
		i.happened(swap.CheckFailed, to, "it cannot have its share of endpoint "+e.Name+": "+err.Error())
	})
}

// inode is that of the socket that generation n has, 0 if it has none.
func (e *endpoint) inode(n int) uint64 {
	if e.group == nil {
		return e.Inode
	}
	return e.group.Inode(n)
}

// asleep: it refuses connections.
func (e *endpoint) asleep() bool { return e.tcp != nil && e.tcp.Asleep() }

// unixPath is listen's part of a Unix group.
type unixPath struct{ *listen.UnixSocket }

func (p unixPath) Another(n int) (steer.Path, error) {
	other, err := p.UnixSocket.Another(n)
	return unixPath{other}, err
}

// openSteering gives the endpoints to groups. Its error is one that keeps
// swapinit from starting.
func (i *Init) openSteering() error {
	for n, e := range i.endpoints.Endpoints() {
		s := &endpoint{Endpoint: e, index: n}
		var group steer.Group
		switch {
		case i.set.Steer == "off":
			s.reason = "SWAPINIT_STEER=off"
		case e.Inherited:
			s.reason = "its socket was inherited"
		case e.Network == "unix":
			first, alone := i.endpoints.Unix(n)
			group = steer.NewUnix(unixPath{first}, alone)
			for _, name := range [...]string{"NGINX", "FPM_SOCKETS"} {
				if lookup(i.opt.Environ, name) != "" {
					// They know it by its name, which is another one for each generation.
					group.SetShared("the server finds its sockets by their names (" + name + ")")
				}
			}
		case !e.IsTCP():
			s.reason = "only TCP and Unix endpoints can be steered"
		default:
			first, opener := i.endpoints.TCP(n)
			tcp, err := steer.NewTCP(first, 1, steer.Options{Open: opener, Backlog: s.Backlog, Watch: i.endpoints.Watch, Unwatch: i.endpoints.Unwatch})
			switch {
			case err == nil:
				group, s.tcp = tcp, local{tcp}
			case i.set.Steer == "require":
				return text.Errorf("SWAPINIT_STEER=require: cannot steer connections to endpoint %s: %w", e.Name, err)
			default:
				s.reason = err.Error()
			}
		}
		if group != nil {
			i.endpoints.Steer(n, group)
			i.steering.steer(s, group)
		}
		i.steering.add(s)
	}
	if i.set.Steer == "require" {
		if err := i.probeSteering(); err != nil {
			return text.Errorf("SWAPINIT_STEER=require: cannot steer connections here: %w", err)
		}
	}
	return nil
}

// probeSteering finds out, once, whether the kernel steers here. It takes part of
// a millisecond, which the first child need not wait for.
func (i *Init) probeSteering() error {
	if !slices.ContainsFunc(i.steering.list(), func(e *endpoint) bool { return e.tcp != nil && e.remote == nil }) {
		return nil // nobody wants to know yet
	}
	return i.steering.probe()
}

func (s *steering) probe() error {
	s.probed.Do(func() {
		s.broken = steer.Probe()
		for _, e := range s.list() {
			e.obey(s.broken)
		}
	})
	return s.broken
}

// obey does with an endpoint what the probe's answer asks for.
func (e *endpoint) obey(why error) {
	ours, ok := e.tcp.(local)
	switch {
	case !ok, why == nil:
	case errors.Is(why, steer.ErrUnseen):
		ours.SetUnseen(why.Error())
	default:
		ours.SetShared(why.Error())
	}
}

// whyShared is why the endpoint's socket is shared, "" if it is not.
func (e *endpoint) whyShared() string {
	if e.group == nil {
		return e.reason
	}
	return e.group.Reason()
}

// unseen is why its connections cannot be counted, "" if they can.
func (e *endpoint) unseen() string {
	if e.tcp == nil {
		return ""
	}
	return e.tcp.Unseen()
}

// give makes sure that generation n has a socket for each endpoint, and lends
// them. cautious: it is to get only a share of the connections at first, or its
// predecessor is to be kept, neither of which a shared socket can do.
func (i *Init) give(n int, cautious, together bool) (listen.Given, error) {
	if n > 1 {
		_ = i.probeSteering() // the groups know what it has found
	}
	steers, why := false, "there is no endpoint"
	for _, e := range i.steering.list() {
		if e.group != nil {
			if err := e.moves.Add(n, together); err != nil {
				return listen.Given{}, err
			}
		}
		if why = e.whyShared(); why == "" {
			steers = true
		}
	}
	if cautious && !steers {
		return listen.Given{}, errors.New(doctor.Unsteered + why)
	}
	if n > 1 {
		i.sayShared()
	}
	i.post(func() { i.openRelays(n) })
	return i.endpoints.Lend(n)
}

// own notes the sockets that g alone has now.
func (s *steering) own(g *generation) {
	for _, e := range s.groups() {
		if _, alone := e.group.Share(g.number); alone {
			g.sockets.add(e.group.Inode(g.number))
		}
	}
}

// sayShared logs which endpoints are not steered, or their connections not counted, and
// why, when that has changed.
func (i *Init) sayShared() {
	if i.set.Steer == "off" {
		return // by the user's own will
	}
	all := i.steering.list()
	i.steering.mu.Lock()
	defer i.steering.mu.Unlock()
	for _, e := range all {
		why, event, news := e.whyShared(), "steer.shared", "generations share a socket: "
		if why == "" {
			why, event, news = e.unseen(), "steer.unseen", ""
		}
		if e.said == why || e.group == nil && !e.IsTCP() {
			continue // no news, or so by its nature
		}
		if e.said = why; why == "" {
			event, news = "steer.on", "each generation has its own socket again"
		}
		i.info(event, "endpoint "+e.Name+": "+news+why, 0, 0)
	}
}

// lookForStrangers warns of a server that listens on an endpoint's address with
// sockets of its own. Steered connections do not go there.
func (i *Init) lookForStrangers(g *generation) {
	for _, e := range i.steering.groups() {
		if e.tcp == nil {
			continue
		}
		if n, err := e.tcp.Foreign(); err == nil && n > 0 {
			s := doctor.Stranger{Endpoint: e.Name, Sockets: n}
			i.warn("steer.strangers", "endpoint "+e.Name+": "+s.Text(), g.number, 0)
		}
	}
}

// probed is the endpoint that a probe addresses, nil if its address is none. All probes are
// by TCP, whose ports are not those of UDP.
func (i *Init) probed(mode *ready.Mode) (e *endpoint) {
	for _, e := range i.steering.list() {
		if e.IsTCP() && mode.On(e.Addr) {
			return e
		}
	}
	return nil
}
