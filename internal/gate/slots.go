package gate

import "github.com/swapinit/swapinit/internal/arbiter"

// maxSlots bounds the generations of one member that have sockets at a time, so that
// one member cannot have all sockets that a group can have.
const maxSlots = 8

// slots are the numbers by which the endpoints know the generations of all members.
// 0 is that in which connections wait. A number is not used again in the life of a gate.
type slots struct {
	all  map[arbiter.Slot]*slot
	last int
}

// slot is a generation that has sockets, or is to get some.
type slot struct {
	number  int
	sockets []socket // one of an endpoint at most
	adding  int      // that are under way
}

// socket is one that a slot has.
type socket struct {
	endpoint string
	cookie   int64
}

func newSlots() slots { return slots{all: map[arbiter.Slot]*slot{}} }

// find is the number of a slot; ok is false where the member has none.
func (s *slots) find(name arbiter.Slot) (n int, ok bool) {
	if name == (arbiter.Slot{}) {
		return 0, true
	}
	if e := s.all[name]; e != nil {
		return e.number, true
	}
	return 0, false
}

// begin is the number of a slot that is to get a socket, perhaps its first; ok is false
// where the member has as many generations as it can have.
func (s *slots) begin(name arbiter.Slot) (n int, ok bool) {
	e := s.all[name]
	if e == nil {
		if name.Member == "" || name.Generation <= 0 || len(s.of(name.Member)) >= maxSlots {
			return 0, false
		}
		s.last++
		e = &slot{number: s.last}
		s.all[name] = e
	}
	e.adding++
	return e.number, true
}

// added ends begin: it has got a socket with that cookie, or (0) not.
func (s *slots) added(name arbiter.Slot, n int, endpoint string, cookie int64) {
	e := s.all[name]
	if e == nil || e.number != n {
		return // it was left meanwhile
	}
	e.adding--
	if cookie != 0 {
		e.remove(endpoint)
		e.sockets = append(e.sockets, socket{endpoint, cookie})
	}
	s.tidy(name)
}

// restore is begin and added for a socket that a member has brought.
func (s *slots) restore(name arbiter.Slot, endpoint string, cookie int64) (n int, ok bool) {
	if n, ok = s.begin(name); ok {
		s.added(name, n, endpoint, cookie)
	}
	return n, ok
}

// left: it has no socket of that endpoint any more.
func (s *slots) left(name arbiter.Slot, endpoint string) {
	if e := s.all[name]; e != nil {
		e.remove(endpoint)
		s.tidy(name)
	}
}

func (e *slot) remove(endpoint string) {
	for i := range e.sockets {
		if e.sockets[i].endpoint == endpoint {
			e.sockets = append(e.sockets[:i], e.sockets[i+1:]...)
			return
		}
	}
}

func (s *slots) tidy(name arbiter.Slot) {
	if e := s.all[name]; len(e.sockets) == 0 && e.adding == 0 {
		delete(s.all, name)
	}
}

func (s *slots) remove(name arbiter.Slot) { delete(s.all, name) }

// of lists those of a member.
func (s *slots) of(member string) (list []arbiter.Slot) {
	for name := range s.all {
		if name.Member == member {
			list = append(list, name)
		}
	}
	return list
}

// saved lists the sockets for the state file.
func (s *slots) saved() (list []savedSocket) {
	for name, e := range s.all {
		for _, socket := range e.sockets {
			list = append(list, savedSocket{name.Member, name.Generation, socket.endpoint, socket.cookie})
		}
	}
	return list
}

// names is the list the other way round.
func (s *slots) names() map[int]arbiter.Slot {
	names := map[int]arbiter.Slot{}
	for name, e := range s.all {
		names[e.number] = name
	}
	return names
}
