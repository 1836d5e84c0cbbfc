package member

import (
	"cmp"
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// Options is what a member says of itself, and how long it tries.
type Options struct {
	_ [0]func() // no ==, so no code for it

	Path      string // of the gate's socket, or @name
	Container string // see Container
	Release   string
	Life      string                  // random, another one in each process
	Timeout   time.Duration           // to the first welcome; 0: no limit. While the gate asks to wait it stands still
	Interrupt <-chan struct{}         // ends the joining; may be nil
	Failed    func(n int, why string) // called after the nth try in a row that has failed, and before the next; may be nil
}

// Times of a connection.
const (
	joinFirst  = 100 * time.Millisecond // between two tries to join, growing
	againFirst = 200 * time.Millisecond // the same after the gate was away
	restMost   = time.Second
	helloTime  = 10 * time.Second // from hello to the answer, which may be that one is to wait
)

// ErrInterrupted is of a Join that Options.Interrupt has ended.
const ErrInterrupted = text.Fault("interrupted while joining the gate")

// errSilent is of a gate to which a connection stands, and that says nothing.
const errSilent = text.Fault("it does not answer")

// Join says hello to the gate, again and again, as it may start later than its members,
// until it is welcome. Its error is ErrInterrupted, or one line with the path and what
// to do. Nothing is read before Start.
func Join(o Options) (*Member, *gatewire.Message, error) {
	m := newMember(o)
	var limit <-chan struct{}
	for n, rest := 1, joinFirst; ; n, rest = n+1, min(2*rest, restMost) {
		if limit == nil && o.Timeout > 0 { // at the beginning, and after the gate has asked to wait
			limit = clock.After(o.Timeout)
		}
		conn, welcome, err := m.hello(o.Interrupt, &limit)
		if err == nil {
			m.conn = conn
			return m, welcome, nil
		}
		if _, refused := errors.AsType[refusal](err); refused {
			return nil, nil, text.Errorf("cannot join the gate at %s: %w", o.Path, err)
		}
		late := err == errSilent
		if !late && err != ErrInterrupted {
			if o.Failed != nil {
				o.Failed(n, err.Error()+advice(err))
			}
			select {
			case <-o.Interrupt:
				err = ErrInterrupted
			case <-limit:
				late = true
			case <-clock.After(rest):
				continue
			}
		}
		if late {
			err = text.Errorf("cannot join the gate at %s within %s: %w%s", o.Path, o.Timeout.String(), err, advice(err))
		}
		return nil, nil, err
	}
}

// advice is what to do about the error of a try, as the end of a sentence.
func advice(err error) string {
	switch {
	case errors.Is(err, unix.ENOENT):
		return ", is the gate running, and is the volume with its socket mounted here?"
	case errors.Is(err, unix.ECONNREFUSED):
		return ", is the gate running?"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return ", may this user search its directory? With SELinux mount the volume with :z"
	case errors.Is(err, unix.ENOTSOCK), errors.Is(err, unix.ENAMETOOLONG), errors.Is(err, unix.EPROTOTYPE):
		return ", set SWAPINIT_GATE to the path of the gate's socket"
	}
	return ", see the gate's log"
}

// refusal is the reason of a gate that refuses a member.
type refusal string

func (r refusal) Error() string { return "it refuses: " + string(r) }

// hello is one try to be welcome. stop and *limit end it; when the gate asks to wait
// *limit becomes nil.
func (m *Member) hello(stop <-chan struct{}, limit *<-chan struct{}) (*gatewire.Conn, *gatewire.Message, error) {
	conn, err := gatewire.Dial(m.o.Path)
	if err != nil {
		return nil, nil, err
	}
	conn.SetReadDeadline(time.Now().Add(m.patience))
	// Also after a failed write: a gate that turns us away at once says why and closes.
	if err = m.introduce(conn); errors.Is(err, gatewire.ErrTooLarge) {
		conn.Close()
		return nil, nil, err
	}
	var welcome *gatewire.Message
	waits, heard := make(chan struct{}), make(chan error, 1)
	go func() {
		said, err := m.listen(conn, waits)
		welcome = said
		heard <- err
	}()
	for ended := false; !ended; {
		select {
		case <-waits:
			*limit, waits = nil, nil
		case err = <-heard:
			ended = true
		case <-stop:
			conn.Close()
			<-heard
			err, ended = ErrInterrupted, true
		case <-*limit:
			conn.Close()
			<-heard
			err, ended = errSilent, true
		}
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	conn.SetReadDeadline(time.Time{})
	return conn, welcome, nil
}

// listen waits for the answer to hello; waits is closed when the gate asks to wait.
func (m *Member) listen(conn *gatewire.Conn, waits chan<- struct{}) (*gatewire.Message, error) {
	for asked := false; ; {
		said, fds, err := conn.Recv()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, errors.New("no answer to hello within " + m.patience.String())
		}
		if err != nil {
			return nil, text.Errorf("no answer to hello: %w", err)
		}
		closeAll(fds)
		switch said.Kind {
		case gatewire.Wait:
			if !asked {
				asked = true
				close(waits)
				conn.SetReadDeadline(time.Time{})
			}
		case gatewire.Refuse:
			return nil, refusal(clip(cmp.Or(said.Reason, "it gives no reason")))
		case gatewire.Welcome:
			if v := said.Version; v < gatewire.VersionMin || v > gatewire.VersionMax {
				return nil, refusal("its protocol has version " + strconv.Itoa(v) + ", this program speaks " + strconv.Itoa(gatewire.VersionMin) + " to " + strconv.Itoa(gatewire.VersionMax))
			}
			said.Reason = clip(said.Reason)
			return said, nil
		}
	}
}

// clip makes a gate's text fit for one line of a message.
func clip(s string) string { return text.Clip(text.Escape(s), 300) }
