package gate

import (
	"strings"

	"github.com/swapinit/swapinit/internal/arbiter"
)

// An endpoint for both address families has a twin as soon as a server has asked for
// IPv4 alone, and the kernel gives all connections of IPv4 to the twin from its first
// socket on. So who has the twin and who has not cannot follow each other in one step:
// between the sockets of one and of the other no traffic can be moved.

// noTwin is why a member must not have the twin of an endpoint be opened, "" if it may:
// another one has the traffic, with a socket of both families.
func (g *Gate) noTwin(s *session, endpoint string) string {
	h := g.holder()
	if h == s.member || g.endpoints.find(TwinName(endpoint)) != nil || !g.slots.use(h, endpoint) {
		return ""
	}
	return "it asks for one address family of endpoint " + endpoint + ", and " + g.name(h) + " has the traffic of both with one socket: none can be moved between the two, " + firstStop
}

// noAsk is why a generation cannot have the traffic, "" if it can: one that has it has
// the twin of an endpoint, and the generation has not.
func (g *Gate) noAsk(s *session, generation int) string {
	h := g.holder()
	if h == s.member {
		return ""
	}
	for _, e := range g.endpoints.list() {
		if e.of != nil && g.slots.use(h, e.name) && !g.slots.uses(arbiter.Slot{Member: s.member, Generation: generation}, e.name) {
			return "it asks for both address families of endpoint " + strings.TrimSuffix(e.name, twinSuffix) + " with one socket, and " + g.name(h) + " has the traffic of " + e.Address + " with one of its own: none can be moved between the two, " + firstStop
		}
	}
	return ""
}

const firstStop = "stop that one first, and connections wait"

// use: a generation of the member has a socket of the endpoint.
func (s *slots) use(member, endpoint string) bool {
	for _, name := range s.of(member) {
		if s.uses(name, endpoint) {
			return true
		}
	}
	return false
}

func (s *slots) uses(name arbiter.Slot, endpoint string) bool {
	if e := s.all[name]; e != nil {
		for _, socket := range e.sockets {
			if socket.endpoint == endpoint {
				return true
			}
		}
	}
	return false
}
