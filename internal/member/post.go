package member

import (
	"sync"

	"github.com/swapinit/swapinit/internal/gatewire"
)

// outbox has the calls of a loop, which waits neither for their answers nor for a gate
// that does not read. They are sent in their order.
type outbox struct {
	mu      sync.Mutex
	waiting []post
	sending bool
}

type post struct {
	message *gatewire.Message
	done    func(*gatewire.Message, error)
}

// postsMost bounds those that wait to be sent: one of a loop that asks for less has no
// more than a few.
const postsMost = 256

// Post is Do without waiting and without a limit: done, where not nil, is called once, from
// another goroutine. Calls that are posted are sent in their order.
func (m *Member) Post(message *gatewire.Message, done func(answer *gatewire.Message, err error)) {
	if done == nil {
		done = func(*gatewire.Message, error) {}
	}
	b := &m.outbox
	b.mu.Lock()
	if len(b.waiting) == postsMost {
		go done(nil, ErrAway)
	} else {
		b.waiting = append(b.waiting, post{message, done})
		if !b.sending {
			b.sending = true
			go m.deliver()
		}
	}
	b.mu.Unlock()
}

// deliver sends what waits.
func (m *Member) deliver() {
	b := &m.outbox
	for {
		b.mu.Lock()
		if len(b.waiting) == 0 {
			b.sending = false
			b.mu.Unlock()
			return
		}
		p := b.waiting[0]
		b.waiting = b.waiting[1:]
		b.mu.Unlock()
		c, err := m.begin(p.message, nil)
		go func() {
			if err != nil {
				p.done(nil, err)
				return
			}
			answer, fds, err := m.await(c, nil)
			closeAll(fds)
			p.done(answer, err)
		}()
	}
}
