package member

import (
	"strconv"
	"testing"
	"time"

	"github.com/swapinit/swapinit/internal/gatewire"
)

type result struct {
	a   *gatewire.Message
	fds []int
	err error
}

func do(m *Member, op gatewire.Op, limit time.Duration) <-chan result {
	done := make(chan result, 1)
	go func() {
		a, fds, err := m.Do(&gatewire.Message{Op: op}, limit)
		closeAll(fds)
		done <- result{a, fds, err}
	}()
	return done
}

// Answers may come in another order than the calls.
func TestDo(t *testing.T) {
	m, _, p, said := started(t)
	var calls []*gatewire.Message
	var results []<-chan result
	for range 5 {
		results = append(results, do(m, gatewire.OpTurn, 0))
		calls = append(calls, p.call(gatewire.OpTurn))
	}
	p.send(&gatewire.Message{Kind: gatewire.Lost, Reason: "1"}, listener(t))
	for i := range calls {
		c := calls[len(calls)-1-i]
		p.answer(c, gatewire.Message{Reason: strconv.Itoa(c.ID)}, listener(t), listener(t))
		p.answer(c, gatewire.Message{Reason: "again"}, listener(t)) // nobody waits for it
	}
	for i, r := range results {
		r := receive(t, r, "answer")
		if r.err != nil || r.a.Reason != strconv.Itoa(calls[i].ID) || len(r.fds) != 2 {
			t.Errorf("%d: %+v", i, r)
		}
	}
	p.send(&gatewire.Message{Kind: gatewire.Ping})
	if m := p.next(); m.Kind != gatewire.Pong {
		t.Errorf("%+v", m)
	}
	p.send(&gatewire.Message{Kind: gatewire.Cut, Reason: "2"})
	p.send(&gatewire.Message{Kind: "news"}, listener(t))
	p.send(&gatewire.Message{Kind: gatewire.Renew, Reason: "3"})
	expect(t, said, "lost1", "cut2", "renew3")
}

// Each wait has its end, and an answer that comes too late is closed.
func TestDoTimeout(t *testing.T) {
	m, g, p, _ := started(t)
	r := do(m, gatewire.OpAdd, time.Millisecond)
	c := p.call(gatewire.OpAdd)
	wantIs(t, receive(t, r, "timeout").err, ErrTimeout)
	p.answer(c, gatewire.Message{}, listener(t))

	// A gate that never answers has only so many.
	for range gatewire.MaxCalls - spared {
		do(m, gatewire.OpTurn, time.Millisecond)
		p.call(gatewire.OpTurn)
	}
	wantIs(t, receive(t, do(m, gatewire.OpTurn, time.Millisecond), "timeout").err, ErrTimeout)
	r = do(m, gatewire.OpTurn, 0)
	p.end()
	p = g.join()
	p.answer(p.call(gatewire.OpTurn), gatewire.Message{Code: "x"})
	if r := receive(t, r, "answer"); r.err != nil || r.a.Code != "x" {
		t.Errorf("%+v", r)
	}
}

// While the gate is away calls wait, but for those that ask how things are.
func TestAway(t *testing.T) {
	m, g, p, said := started(t)
	m.Claim(gatewire.Kept, 3, 7)
	first := do(m, gatewire.OpAsk, 0)
	sent := p.call(gatewire.OpAsk)
	look := do(m, gatewire.OpLook, 0)
	p.call(gatewire.OpLook)
	p.end()
	g.l.Close()
	wantIs(t, receive(t, look, "end").err, ErrAway)
	expect(t, said, "away")
	wantIs(t, receive(t, do(m, gatewire.OpShare, 0), "end").err, ErrAway)
	wantIs(t, receive(t, do(m, gatewire.OpTurn, time.Millisecond), "end").err, ErrAway)
	second := do(m, gatewire.OpDone, time.Minute)

	g.open()
	g.accept().end() // dies before it has said anything
	p = g.accept()
	if h := p.hello; h.State != "kept" || h.Generation != 3 || h.Epoch != 7 || h.Life != "abc" {
		t.Errorf("%+v", h)
	}
	p.send(&gatewire.Message{Kind: gatewire.Wait})
	p.send(&g.welcome)
	expect(t, said, "there", "welcome")
	c := p.call(gatewire.OpAsk)
	if c.ID != sent.ID {
		t.Errorf("sent %+v again as %+v", sent, c)
	}
	done := p.call(gatewire.OpDone)
	p.answer(done, gatewire.Message{})
	p.answer(c, gatewire.Message{Epoch: 8})
	if r := receive(t, first, "answer"); r.err != nil || r.a.Epoch != 8 {
		t.Errorf("%+v", r)
	}
	if r := receive(t, second, "answer"); r.err != nil {
		t.Errorf("%+v", r)
	}
}

// One that refuses us is told of once; and we go on asking.
func TestAwayRefused(t *testing.T) {
	_, g, p, said := started(t)
	p.end()
	for range 2 {
		p = g.accept()
		p.send(&gatewire.Message{Kind: gatewire.Refuse, Reason: " no"})
		p.end()
	}
	g.join()
	expect(t, said, "away", "refuse no", "there", "welcome")
}

// Close ends all that waits, whatever the gate does.
func TestClose(t *testing.T) {
	m, _, p, _ := started(t)
	r := do(m, gatewire.OpAsk, 0)
	p.call(gatewire.OpAsk)
	m.Close()
	m.Close()
	wantIs(t, receive(t, r, "end").err, ErrClosed)
	wantIs(t, receive(t, do(m, gatewire.OpAsk, 0), "end").err, ErrClosed)

	m, g, p, said := started(t)
	g.l.Close()
	p.end()
	expect(t, said, "away")
	r = do(m, gatewire.OpAsk, 0)
	m.Close()
	wantIs(t, receive(t, r, "end").err, ErrClosed)
}
