package gate

import (
	"errors"
	"os"
	"slices"
	"strconv"

	"github.com/swapinit/swapinit/internal/arbiter"
	"github.com/swapinit/swapinit/internal/atomicfile"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/internal/wire"
	"golang.org/x/sys/unix"
)

// maxState bounds what is read of it.
const maxState = 1 << 20

// saved is the state file: JSON, one object. It is replaced as a whole, and on the disk
// before connections move (internal/atomicfile), so that a gate that starts again knows
// who has the traffic.
type saved struct {
	Epoch   int64
	Last    int    // the highest order that was given out
	Holder  string // container
	Members []arbiter.Member
	Netns   int64 // SO_NETNS_COOKIE of the gate that has written this
	Sockets []savedSocket
}

// savedSocket is one that a member has: what it has to send back to the next gate.
type savedSocket struct {
	Container  string
	Generation int
	Endpoint   string
	Cookie     int64 // SO_COOKIE
}

// The members of the file, in their order; see package wire.

func (s *saved) fields(c *wire.Codec) {
	c.Int64("epoch", &s.Epoch)
	c.Int("last", &s.Last)
	c.String("holder", &s.Holder)
	c.List("members", len(s.Members), func(i int) {
		if i == len(s.Members) {
			s.Members = append(s.Members, arbiter.Member{})
		}
		memberFields(c, &s.Members[i])
	})
	c.Int64("netns", &s.Netns)
	c.List("sockets", len(s.Sockets), func(i int) {
		if i == len(s.Sockets) {
			s.Sockets = append(s.Sockets, savedSocket{})
		}
		s.Sockets[i].fields(c)
	})
}

func (s *savedSocket) fields(c *wire.Codec) {
	c.String("container", &s.Container)
	c.Int("generation", &s.Generation)
	c.String("endpoint", &s.Endpoint)
	c.Int64("cookie", &s.Cookie)
}

func memberFields(c *wire.Codec, m *arbiter.Member) {
	c.String("container", &m.Container)
	c.String("release", &m.Release)
	c.Int("order", &m.Order)
	c.String("out", (*string)(&m.Out))
	c.Bool("settled", &m.Settled)
}

// errNewer is the error of a state file that a later version has written.
const errNewer = text.Fault("it was written by a newer version of swapinit")

// readState reads the file; a zero state where there is none. errNewer: this program
// must not touch it. Any other error: what is there is of no use.
func readState(name string) (*saved, error) {
	data, err := atomicfile.Read(name, maxState)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &saved{}, nil
	case err != nil:
		return nil, err
	}
	s := &saved{}
	d, version := wire.Parse(data)
	switch {
	case d.Err == nil && version > wire.Version:
		return nil, errNewer
	case d.Err == nil && version != wire.Version:
		return nil, errors.New("it has no version")
	}
	if s.fields(d); d.Err != nil {
		return nil, d.Err
	}
	return s, s.check()
}

// check is what the gate relies on.
func (s *saved) check() error {
	seen := map[string]bool{}
	for i := range s.Members {
		m := &s.Members[i]
		switch {
		case m.Container == "" || seen[m.Container]:
			return errors.New("a member without a name of its own")
		case m.Order < 1 || m.Order > s.Last:
			return errors.New("order " + strconv.Itoa(m.Order) + " was never given out")
		case m.Out != "" && m.Out != arbiter.Retired && m.Out != arbiter.Failed && m.Out != arbiter.Superseded:
			return errors.New("unknown word " + strconv.Quote(string(m.Out)))
		}
		seen[m.Container] = true
	}
	if s.Holder != "" && !seen[s.Holder] {
		return errors.New("the holder is not among the members")
	}
	if s.Epoch < 0 || s.Last < 0 {
		return errors.New("a negative number")
	}
	return nil
}

// arbiter is what the arbiter wants to know of it.
func (s *saved) arbiter() arbiter.State {
	return arbiter.State{Epoch: s.Epoch, Last: s.Last, Holder: s.Holder, Members: s.Members}
}

// stateFile writes the state, one write after the other, in a goroutine. A path of ""
// is no file: a gate at an abstract name has no directory.
type stateFile struct {
	name  string
	now   saved         // what is on the disk, or is to be; the writer's
	lent  []savedSocket // what this gate and the one before have lent; none where nobody knows
	queue queue
}

// save writes a, with the sockets that members have, and calls done in a
// goroutine. After an error the file is as it was. Where a is nil it is only for the
// sockets, if they are others. That is not urgent: one that is missing in the file is not
// taken back by the next gate, and its member takes fresh ones.
func (f *stateFile) save(a *arbiter.State, list []savedSocket, done func(error)) {
	f.queue.add(func() {
		next := f.now
		next.Sockets = list
		if a != nil {
			next.Epoch, next.Last, next.Holder, next.Members = a.Epoch, a.Last, a.Holder, a.Members
		}
		var err error
		if a != nil || !slices.Equal(next.Sockets, f.now.Sockets) {
			if err = f.write(&next); err == nil {
				f.now = next
			}
		}
		done(err)
	})
}

// maxLent bounds what is remembered of sockets that members may have to bring back.
const maxLent = 256

// lend notes that a member has got a socket. It is the loop's.
func (f *stateFile) lend(s savedSocket) {
	f.lent = append(f.lent[max(0, len(f.lent)+1-maxLent):], s)
}

func (f *stateFile) write(s *saved) error {
	if f.name == "" {
		return nil
	}
	if err := atomicfile.Write(f.name, wire.Line(s.fields)); err != nil {
		return text.Errorf("cannot write %s: %w", f.name, err)
	}
	return nil
}

// flush waits until what was asked for is written.
func (f *stateFile) flush() {
	done := make(chan struct{})
	f.queue.add(func() { close(done) })
	<-done
}

// openState reads the state for a gate at path. warning is for the log: a file that is
// of no use is moved out of the way, and the members tell who has the traffic.
func openState(path string) (s *saved, warning string, err error) {
	name := path + ".state"
	s, err = readState(name)
	switch {
	case err == nil:
		return s, "", nil
	case err == errNewer:
		return nil, "", text.Errorf("cannot use %s: %w, start that one, or remove the file to begin without it", name, err)
	}
	why := "cannot use " + name + ": " + err.Error()
	if err := unix.Rename(name, name+".bad"); err != nil {
		return nil, "", errors.New(why + ", and cannot move it out of the way: " + err.Error())
	}
	return &saved{}, why + "; it is " + name + ".bad now, and members tell who has the traffic", nil
}
