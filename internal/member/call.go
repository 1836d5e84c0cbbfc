package member

import (
	"errors"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/insertion"
	"github.com/swapinit/swapinit/internal/text"

	"github.com/swapinit/swapinit/internal/gatewire"
)

// Errors of Do, beside those that say what is wrong with a call.
const (
	ErrAway    = text.Fault("the gate is away")
	ErrTimeout = text.Fault("the gate has not answered in time")
	ErrClosed  = text.Fault("this member has left its gate")
)

// waits reports whether a call is sent again to a gate that was away. The others ask how
// things are now.
func waits(op gatewire.Op) bool {
	switch op {
	case gatewire.OpLook, gatewire.OpCounts, gatewire.OpShare, gatewire.OpProbe, gatewire.OpAccepted, gatewire.OpPeer:
		return false
	}
	return true
}

// calls are those that have no answer yet. The gate bounds them, and so do we: one that
// nobody waits for any more counts until its answer comes, or the connection ends. Those
// of surely have room of their own: they are not given up.
type calls struct {
	places chan struct{}
	open   map[int]*call // by ID
	last   int           // ID
}

// spared is that room.
const spared = 16

// call is one of them.
type call struct {
	message *gatewire.Message
	outcome chan outcome // has room for the one that comes
	left    bool         // nobody waits for it
	sure    bool         // it is surely's
}

type outcome struct {
	answer *gatewire.Message
	fds    []int
	err    error
}

func newCalls() calls {
	return calls{places: make(chan struct{}, gatewire.MaxCalls-spared), open: map[int]*call{}}
}

// list has all, in their order.
func (c *calls) list() (list []*call) {
	for _, one := range c.open {
		list = append(list, one)
	}
	insertion.Sort(len(list), func(i, j int) bool { return list[i].message.ID < list[j].message.ID }, func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// finish gives a call its outcome.
func (c *calls) finish(one *call, o outcome) {
	delete(c.open, one.message.ID)
	if !one.sure {
		<-c.places
	}
	if one.left {
		closeAll(o.fds)
		return
	}
	one.outcome <- o
}

// end finishes all with ErrClosed, or with ErrAway those that do not wait for a gate.
func (c *calls) end(err error) {
	for _, one := range c.list() {
		if err != ErrAway || one.left || !waits(one.message.Op) {
			c.finish(one, outcome{err: err})
		}
	}
}

// Do sends a call, whose ID it chooses, and waits for its answer, which may say that it
// failed, for limit at most; 0: for as long as it takes. The fds are the caller's. While
// the gate is away it waits for that too, and sends the call again, unless it is one that
// asks how things are: then its error is ErrAway. ErrTimeout: the gate may still carry it
// out. ErrClosed: after Close. Start has to be called before.
func (m *Member) Do(message *gatewire.Message, limit time.Duration) (*gatewire.Message, []int, error) {
	late := after(limit)
	c, err := m.begin(message, late)
	if err != nil {
		return nil, nil, err
	}
	return m.await(c, late)
}

// after is nil for no limit.
func after(limit time.Duration) <-chan struct{} {
	if limit <= 0 {
		return nil
	}
	return clock.After(limit)
}

// begin sends a call when there is a place for it. Calls arrive in the order in which
// they were begun.
func (m *Member) begin(message *gatewire.Message, late <-chan struct{}) (*call, error) {
	select {
	case m.calls.places <- struct{}{}:
	case <-m.quit:
		return nil, ErrClosed
	case <-late:
		return nil, ErrTimeout
	}
	var c *call
	var err error
	m.mu.Lock()
	switch {
	case m.closed:
		err = ErrClosed
	case m.away && !waits(message.Op):
		err = ErrAway
	default:
		c = m.send(message, false)
	}
	if err != nil {
		<-m.calls.places
	}
	m.mu.Unlock()
	return c, err
}

// send sends a call, or keeps it until the gate is there. The caller holds the mutex.
func (m *Member) send(message *gatewire.Message, sure bool) *call {
	own := *message
	m.calls.last++
	own.Kind, own.ID = gatewire.Call, m.calls.last
	c := &call{message: &own, outcome: make(chan outcome, 1), sure: sure}
	m.calls.open[own.ID] = c
	if m.conn != nil {
		// That the connection has ended the reader learns.
		if err := m.conn.Send(c.message, nil); errors.Is(err, gatewire.ErrTooLarge) {
			m.calls.finish(c, outcome{err: err})
		}
	}
	return c
}

// surely makes a call that is not given up while the member lives. It returns when the
// answer is there, or after ten seconds. done, which may be nil, is called after the
// answer, or after Close.
func (m *Member) surely(message *gatewire.Message, done func()) {
	m.mu.Lock()
	var c *call
	if !m.closed {
		c = m.send(message, true)
	}
	m.mu.Unlock()
	answered := make(chan struct{})
	go func() {
		if c != nil {
			_, fds, _ := m.await(c, nil)
			closeAll(fds)
		}
		if done != nil {
			done()
		}
		close(answered)
	}()
	select {
	case <-answered:
	case <-clock.After(moveTime):
	}
}

// await waits for the outcome of a call.
func (m *Member) await(c *call, late <-chan struct{}) (*gatewire.Message, []int, error) {
	var o outcome
	select {
	case o = <-c.outcome:
		return o.answer, o.fds, o.err
	case <-late:
	}
	m.mu.Lock()
	if m.calls.open[c.message.ID] != c { // it has come in this moment
		o = <-c.outcome
	} else if c.left = true; m.conn == nil {
		m.calls.finish(c, outcome{})
		o.err = ErrAway
	} else {
		o.err = ErrTimeout
	}
	m.mu.Unlock()
	return o.answer, o.fds, o.err
}

// answered passes an answer on to whoever waits for it.
func (m *Member) answered(answer *gatewire.Message, fds []int) {
	m.mu.Lock()
	if c := m.calls.open[answer.ID]; c != nil {
		m.calls.finish(c, outcome{answer: answer, fds: fds})
	} else {
		closeAll(fds)
	}
	m.mu.Unlock()
}
