package gate

import (
	"syscall"

	"github.com/swapinit/swapinit/internal/arbiter"
	"github.com/swapinit/swapinit/internal/gatewire"
)

// session is one connection. Its goroutine is read; the fields are the loop's.
type session struct {
	_ [0]func() // no ==, so no code for it

	g    *Gate
	id   arbiter.Session
	conn *gatewire.Conn
	gone bool // the connection is closed, or is to be

	member   string // the container; "" before its hello
	release  string
	again    bool // it has joined before, in the same life
	joined   bool // the arbiter knows it
	welcomed bool // it may call
	calls    int  // that have no answer yet
}

// begin starts the goroutine of a new connection.
func (g *Gate) begin(conn *gatewire.Conn) *session {
	g.last++
	s := &session{g: g, id: g.last, conn: conn}
	g.sessions[s.id] = s
	go s.read()
	return s
}

// read passes on what the member says, one line at a time: it waits for the loop, and
// so does who floods the gate.
func (s *session) read() {
	for {
		m, fds, err := s.conn.Recv()
		if err != nil {
			s.g.post(func() { s.g.ended(s, err) })
			return
		}
		s.g.post(func() { s.g.said(s, m, fds) })
	}
}

// send sends a line and closes fds. One that does not read what it is sent has ended
// then, which read hears.
func (s *session) send(m *gatewire.Message, fds ...int) {
	if !s.gone {
		if err := s.conn.Send(m, fds); err != nil {
			s.g.debug("member", s.g.describe(s)+": "+err.Error())
		}
	}
	closeAll(fds)
}

// answer answers the call with m.ID. Each call has one answer.
func (s *session) answer(m *gatewire.Message, fds ...int) {
	m.Kind = gatewire.Answer
	s.calls--
	s.send(m, fds...)
}

// failed answers a call that was not carried out.
func (s *session) failed(id int, code, reason string) {
	s.answer(&gatewire.Message{ID: id, Code: code, Error: reason})
}

// refuse ends a connection with one line.
func (s *session) refuse(reason string) {
	s.send(&gatewire.Message{Kind: gatewire.Refuse, Reason: reason})
	s.gone = true
	s.conn.Close()
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = syscall.Close(fd)
	}
}
