// Package gate is what `swapinit gate` runs: it keeps the endpoints for containers that
// join it, and decides with arbiter which of them has the traffic.
package gate

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/steer"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/internal/unixname"
)

// Endpoints are what a gate listens on. Each is a group of sockets of which every slot,
// a number from 1 on that is the caller's, has one of its own; the sockets are lent to
// members, and one of them gets the new connections. Those of a slot to which they go
// and that has left wait, as those of Wait, for the next slot that gets a socket.
//
// The methods may be called from any goroutine. They take microseconds, but for those of
// which it is said: these wait for a file system or a long table of the kernel's, and are
// not for a loop.
type Endpoints struct {
	options Options
	set     *listen.Set // watches over all sockets

	twins sync.Mutex // held while one is opened or closed

	mu      sync.Mutex // of what follows; nothing that waits is done under it
	all     []*endpoint
	waiting int   // slots of Wait that there were
	unseen  error // why connections cannot be counted, or nil
}

// Options of Open.
type Options struct {
	Report func(line string)                // of a repair; called from a goroutine that must not wait
	Failed func(endpoint string, err error) // a move failed and is tried again; likewise
	Kept   []Kept                           // what members have kept of a gate that has ended, as far as it is Usable
	Holder int                              // the slot of Kept that has the traffic; 0: none is there any more
}

// ErrNone: there is no such endpoint.
const ErrNone = text.Fault("the gate has no such endpoint")

// twinSuffix is what a twin's name has more than that of its endpoint: a character that
// the settings do not accept in a name.
const twinSuffix = ":twin"

// TwinName is the name of the endpoint of the other address family than name's.
func TwinName(name string) string { return name + twinSuffix }

// firstWaiting is the first slot of Wait's own.
const firstWaiting = 1 << 30

// Open opens all endpoints, and has connections wait in them: in new sockets, or in those
// that members have kept (TCP; the file of a Unix endpoint leads to a new one in any
// case). A gate cannot do without steering, nor with UDP. An error is one line. It is
// EADDRINUSE (errors.Is) while a socket has the address that is not among Kept: a member
// may have it still. Open may take some 100 µs for each, and waits for the file system.
func Open(specs []listen.Spec, o Options) (*Endpoints, error) {
	e := &Endpoints{options: o}
	err := e.check(specs)
	if err != nil {
		return nil, err
	}
	var paths []listen.Spec
	for _, spec := range specs {
		if spec.Network == "unix" {
			spec.Replace = true // the lock on the gate's volume tells that it is ours
			paths = append(paths, spec)
		}
	}
	if e.set, err = listen.Open(paths, nil, nil); err != nil {
		return nil, text.Errorf("SWAPINIT_LISTEN: %w", err)
	}
	for i := 0; i < len(specs) && err == nil; i++ {
		if specs[i].IsTCP() {
			err = e.openTCP(specs[i], nil)
		} else {
			e.openUnix(len(e.all) - e.count(true))
		}
	}
	for _, k := range o.Kept {
		of, isTwin := strings.CutSuffix(k.Endpoint, twinSuffix)
		if err == nil && isTwin && e.find(of) != nil {
			_, err = e.Twin(of)
		}
	}
	e.options.Kept = nil // they are the caller's again
	if err != nil {
		e.Close()
		return nil, err
	}
	if err := e.set.Guard(o.Report); err != nil {
		o.Report("cannot watch over the endpoints: " + err.Error())
	}
	return e, nil
}

// check refuses what a gate cannot have.
func (e *Endpoints) check(specs []listen.Spec) error {
	tcp := false
	for _, spec := range specs {
		longest := len(spec.Path) + len("..swapinit.") + len(strconv.Itoa(firstWaiting))
		switch {
		case spec.IsTCP():
			tcp = true
		case spec.Network != "unix":
			return errors.New("cannot use endpoint " + strconv.Quote(spec.Text) + ": a gate has tcp:// and unix:// endpoints only")
		case longest > unixname.MaxPath:
			return errors.New("cannot use endpoint " + strconv.Quote(spec.Text) + ": the hidden names beside it would have " + strconv.Itoa(longest) + " bytes, the kernel accepts 107: use a shorter path")
		}
	}
	if !tcp {
		return nil
	}
	err := steer.Probe()
	if errors.Is(err, steer.ErrUnseen) {
		e.unseen, err = err, nil
	}
	if err != nil {
		return text.Errorf("a gate cannot work here, connections cannot be steered: %w", err)
	}
	return nil
}

// openTCP opens a TCP endpoint; of: the one whose twin it is, or nil.
func (e *Endpoints) openTCP(spec listen.Spec, of *endpoint) error {
	n := &endpoint{name: spec.Name, of: of}
	if of != nil {
		n.name = TwinName(of.Name)
	}
	tcp, err := e.group(n.name, &spec)
	if err != nil {
		return text.Errorf("SWAPINIT_LISTEN: cannot open endpoint %q: %w", spec.Text, err)
	}
	if e.unseen != nil {
		tcp.SetUnseen(e.unseen.Error())
	}
	n.group, n.tcp = tcp, tcp
	n.Endpoint = e.set.Join(spec, tcp)
	e.add(n)
	return nil
}

// group opens the group of an endpoint. Nobody has its socket yet, unless members have
// kept some.
func (e *Endpoints) group(name string, spec *listen.Spec) (*steer.TCP, error) {
	o := steer.Options{Backlog: spec.Backlog, Guarded: true, Watch: e.set.Watch, Unwatch: e.set.Unwatch}
	o.Open = func() (int, error) { return listen.Bind(spec) }
	if kept := e.keptOf(name, spec); len(kept) > 0 {
		return restore(kept, e.options.Holder, o)
	}
	fd, err := first(spec, name != spec.Name)
	if err != nil {
		return nil, err
	}
	var tcp *steer.TCP
	if err = listen.Listen(spec, fd); err == nil {
		tcp, err = steer.NewTCP(fd, firstWaiting, o)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	tcp.Leave(firstWaiting)
	return tcp, nil
}

// first binds the first socket of an endpoint. A twin's is beside another one of ours, so
// it has SO_REUSEPORT from the start.
func first(spec *listen.Spec, twin bool) (fd int, err error) {
	if !twin {
		return listen.BindFirst(spec, steer.Prepare)
	}
	if fd, err = listen.Bind(spec); err != nil {
		return -1, err
	}
	if err = steer.Prepare(fd); err != nil {
		_ = syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// openUnix makes an endpoint of the i-th path of the set.
func (e *Endpoints) openUnix(i int) {
	first, _ := e.set.Unix(i)
	group := steer.NewUnix(unixPath{first}, nil)
	group.NeverShare()
	e.set.Steer(i, group)
	n := &endpoint{Endpoint: e.set.Endpoints()[i], group: group, unix: group}
	n.name = n.Name
	e.add(n)
}

// unixPath is listen's part of a Unix group.
type unixPath struct{ *listen.UnixSocket }

func (p unixPath) Another(n int) (steer.Path, error) {
	other, err := p.UnixSocket.Another(n)
	return unixPath{other}, err
}

func (e *Endpoints) add(n *endpoint) {
	n.moves = &steer.Mover{Group: n.group, Failed: func(_ int, err error) { e.options.Failed(n.name, err) }}
	n.looks = map[int]*look{}
	e.mu.Lock()
	e.all = append(e.all[:len(e.all):len(e.all)], n)
	e.mu.Unlock()
}

// list has all endpoints, each before its twin.
func (e *Endpoints) list() []*endpoint {
	e.mu.Lock()
	all := e.all
	e.mu.Unlock()
	return all
}

// count counts those that are TCP, or not.
func (e *Endpoints) count(tcp bool) (n int) {
	for _, one := range e.list() {
		if (one.tcp != nil) == tcp {
			n++
		}
	}
	return n
}

func (e *Endpoints) find(name string) *endpoint {
	for _, one := range e.list() {
		if one.name == name {
			return one
		}
	}
	return nil
}

// Check looks at all sockets and repairs what a process has harmed. It waits for file
// systems.
func (e *Endpoints) Check() { e.set.Check() }

// Close closes all sockets. What a member has of them stays open, and still gets
// connections for as long as this network namespace has an interface.
func (e *Endpoints) Close() { e.set.Close() }
