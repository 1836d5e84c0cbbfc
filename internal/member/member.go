package member

import (
	"sync"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/insertion"

	"github.com/swapinit/swapinit/internal/gatewire"
	"golang.org/x/sys/unix"
)

// Member is the connection to a gate, for as long as this process lives. It owns the
// connection, its goroutines, and a copy of every socket that it has got and not left.
type Member struct {
	o        Options
	patience time.Duration // helloTime
	quit     chan struct{} // closed by Close
	events   chan event    // what the gate has said, for the goroutine that passes it on

	mu      sync.Mutex // of what follows
	calls   calls
	conn    *gatewire.Conn
	away    bool // from the end of a connection to the next welcome
	closed  bool
	claim   claim
	outbox  outbox
	sockets map[gatewire.Socket]*socket
	groups  map[string]*Group
}

// claim is what hello says of us.
type claim struct {
	state      gatewire.Role
	generation int
	epoch      int64
}

// event is a notice, or that the gate is away, or is there again.
type event struct {
	notice *gatewire.Message
	away   bool
}

// notices is how many may wait for a loop that is busy. A gate that says more at a time
// is not well.
const notices = 64

func newMember(o Options) *Member {
	return &Member{o: o, patience: helloTime, quit: make(chan struct{}), events: make(chan event, notices), calls: newCalls(), sockets: map[gatewire.Socket]*socket{}, groups: map[string]*Group{}}
}

// Start begins to pass on what the gate says. notice is called for each Lost, Back, Serve,
// Cut, Promote and Renew, and after the gate was away for its Welcome, or for a Refuse that
// is news: the gate is away on. away tells that the connection has ended, and that the gate
// has welcomed us again, before the notice of that. All are called in their order from one
// goroutine, and may call Do. Call Start once.
func (m *Member) Start(notice func(*gatewire.Message), away func(bool)) {
	go m.run()
	go func() {
		for {
			select {
			case e := <-m.events:
				if e.notice != nil {
					notice(e.notice)
				} else {
					away(e.away)
				}
			case <-m.quit:
				return
			}
		}
	}()
}

// Claim is what the next hello says of this member: what it takes itself for, the
// generation that has or had the traffic (0: none), the last epoch that it was told.
func (m *Member) Claim(state gatewire.Role, generation int, epoch int64) {
	m.mu.Lock()
	m.claim = claim{state, generation, epoch}
	m.mu.Unlock()
}

// Close ends the connection and closes every socket. Calls that wait get ErrClosed.
func (m *Member) Close() {
	m.mu.Lock()
	if !m.closed {
		m.closed = true
		close(m.quit)
		if m.conn != nil {
			m.conn.Close()
			m.conn = nil
		}
		m.calls.end(ErrClosed)
		for name, s := range m.sockets {
			unix.Close(s.fd)
			delete(m.sockets, name)
		}
	}
	m.mu.Unlock()
}

// introduce says hello, with all sockets that are held.
func (m *Member) introduce(conn *gatewire.Conn) error {
	m.mu.Lock()
	hello := &gatewire.Message{
		Kind: gatewire.Hello, Min: gatewire.VersionMin, Max: gatewire.VersionMax,
		Container: m.o.Container, Release: m.o.Release, Life: m.o.Life,
		State: string(m.claim.state), Generation: m.claim.generation, Epoch: m.claim.epoch,
	}
	for name := range m.sockets {
		hello.Sockets = append(hello.Sockets, name)
	}
	// Where there are more than fit, those with the traffic and newer ones count most.
	list := hello.Sockets
	insertion.Sort(len(list), func(i, j int) bool {
		a, b := &list[i], &list[j]
		switch {
		case a.Generation == b.Generation:
			return a.Endpoint < b.Endpoint
		case a.Generation == m.claim.generation || b.Generation == m.claim.generation:
			return a.Generation == m.claim.generation
		}
		return a.Generation > b.Generation
	}, func(i, j int) { list[i], list[j] = list[j], list[i] })
	hello.Sockets = hello.Sockets[:min(len(hello.Sockets), gatewire.MaxFDs)]
	var fds []int
	for _, name := range hello.Sockets {
		fds = append(fds, m.sockets[name].fd)
	}
	err := conn.Send(hello, fds)
	m.mu.Unlock()
	return err
}

// run reads until Close, and joins again whenever the connection has ended.
func (m *Member) run() {
	m.mu.Lock()
	conn := m.conn
	m.mu.Unlock()
	for conn != nil {
		m.read(conn)
		conn.Close()
		m.lose()
		if !m.pass(event{away: true}) {
			return
		}
		var welcome *gatewire.Message
		if conn, welcome = m.rejoin(); conn == nil || !m.pass(event{}) || !m.pass(event{notice: welcome}) {
			return
		}
	}
}

// pass waits until there is room for e, or Close.
func (m *Member) pass(e event) bool {
	select {
	case m.events <- e:
		return true
	case <-m.quit:
		return false
	}
}

// read takes what the gate says until the connection has ended.
func (m *Member) read(conn *gatewire.Conn) {
	for {
		said, fds, err := conn.Recv()
		if err != nil {
			return
		}
		said.Reason, said.Error, said.Container, said.Release = clip(said.Reason), clip(said.Error), clip(said.Container), clip(said.Release)
		switch said.Kind {
		case gatewire.Answer:
			m.answered(said, fds)
			continue
		case gatewire.Ping:
			_ = conn.Send(&gatewire.Message{Kind: gatewire.Pong}, nil)
		case gatewire.Lost, gatewire.Back, gatewire.Serve, gatewire.Cut, gatewire.Promote, gatewire.Renew:
			select {
			case m.events <- event{notice: said}:
			default:
				closeAll(fds)
				return // a flood; what counts the next welcome says
			}
		}
		closeAll(fds)
	}
}

// lose ends the calls that do not wait for a gate.
func (m *Member) lose() {
	m.mu.Lock()
	m.conn, m.away = nil, true
	m.calls.end(ErrAway)
	m.mu.Unlock()
}

// rejoin dials until the gate has welcomed us again; nil after Close.
func (m *Member) rejoin() (*gatewire.Conn, *gatewire.Message) {
	refused := refusal("")
	var unlimited <-chan struct{}
	for rest := againFirst; ; rest = min(2*rest, restMost) {
		select {
		case <-m.quit:
			return nil, nil
		case <-clock.After(rest):
		}
		conn, welcome, err := m.hello(m.quit, &unlimited)
		if err == nil {
			if !m.attach(conn, welcome) {
				conn.Close()
				return nil, nil
			}
			return conn, welcome
		}
		if why, ok := err.(refusal); ok && why != refused {
			refused = why
			if !m.pass(event{notice: &gatewire.Message{Kind: gatewire.Refuse, Reason: string(why)}}) {
				return nil, nil
			}
		}
	}
}

// attach sends what has no answer yet on a new connection; false after Close.
func (m *Member) attach(conn *gatewire.Conn, welcome *gatewire.Message) bool {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return false
	}
	m.conn, m.away = conn, false
	for _, e := range welcome.Endpoints {
		if g := m.groups[e.Name]; g != nil {
			g.unseen = clip(e.Unseen)
		}
	}
	for _, g := range m.groups {
		if g.asleep && !g.closed {
			m.calls.last++ // nobody waits for the answer
			sleep := g.call(gatewire.OpSleep, 0)
			sleep.Kind, sleep.ID = gatewire.Call, m.calls.last
			_ = conn.Send(sleep, nil)
		}
	}
	for _, c := range m.calls.list() {
		_ = conn.Send(c.message, nil) // the reader learns of an error, too
	}
	m.mu.Unlock()
	return true
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
