package ready

import (
	"cmp"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

const (
	datagramMax = 64 << 10 // bytes; anything longer is ignored
	drainMax    = 4096     // messages that one Drain handles at most
)

// Notify is the notification socket of one generation, see sd_notify(3). It
// owns the socket and its path.
type Notify struct {
	bound *bound
	file  *os.File // owns bound.fd
	conn  syscall.RawConn

	// mu is held from the receipt of a message until it is delivered, so that
	// messages arrive in order whoever receives them.
	mu      sync.Mutex
	accept  func(pid int, uid uint32) bool
	deliver func(Message)
	data    []byte
	control []byte

	closed atomic.Bool
	done   chan struct{} // closed when the reader has ended
}

// NewNotify opens the socket for a generation whose main process runs as uid
// (-1: as swapinit itself). It gets a path in the first directory of dirs
// (nil: /run, /tmp, /dev/shm) that can be written and reached by uid, an
// abstract name if there is none.
func NewNotify(generation int, dirs []string, uid int) (*Notify, error) {
	if dirs == nil {
		dirs = []string{"/run", "/tmp", "/dev/shm"}
	}
	b, err := bindNotify(generation, dirs, uid)
	if err != nil {
		return nil, err
	}
	n := &Notify{bound: b, file: os.NewFile(uintptr(b.fd), b.address)}
	n.conn, _ = n.file.SyscallConn() // fails for a nil file only
	return n, nil
}

// Address returns the value of NOTIFY_SOCKET: a path, or @name.
func (n *Notify) Address() string { return n.bound.address }

// Watch starts the reader; call it once. accept says whether the sender of a
// message belongs to the generation; it sees no message whose sender the
// kernel cannot name. deliver gets the messages one at a time and in order,
// from the reader's goroutine or from a caller of Drain. Neither func may wait
// for a goroutine that can be in Drain, nor call Drain; both may call Close.
//
// Senders wait while deliver does (the kernel queues few datagrams, see
// net.unix.max_dgram_qlen), so a flood costs no memory here.
func (n *Notify) Watch(accept func(pid int, uid uint32) bool, deliver func(Message)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.accept, n.deliver = accept, deliver
	n.data = make([]byte, datagramMax)
	// Room for two fds: that is enough to tell one from too many. The kernel
	// drops those that do not fit.
	n.control = make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(2*4))
	n.done = make(chan struct{})
	go n.read()
}

// read waits and drains until Close. The wait does not touch the queue: then
// Drain cannot overtake a message that was received but not delivered.
func (n *Notify) read() {
	defer close(n.done)
	waits := func(fd uintptr) bool { return polled(fd, unix.POLLIN) }
	for n.conn.Read(waits) == nil && n.Drain() {
	}
}

// Drain delivers all that was queued when it was called before it returns. A
// message that another goroutine is just delivering is waited for. It does
// nothing before Watch and after Close. It is false when the socket will yield
// nothing any more.
func (n *Notify) Drain() bool {
	// Senders that never pause must not keep the caller for ever.
	for range drainMax {
		if err := n.step(); err != nil {
			return err == unix.EAGAIN
		}
	}
	return true
}

// step receives and delivers one message. It is EAGAIN when there was none.
func (n *Notify) step() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.deliver == nil {
		return unix.EAGAIN
	}
	var size, controlSize, flags int
	var failure error
	// Control holds the socket open only for the system call: were deliver
	// called inside, a Close in it would wait for itself.
	err := n.conn.Control(func(fd uintptr) {
		failure = unix.EINTR
		for failure == unix.EINTR {
			size, controlSize, flags, _, failure = syscall.Recvmsg(int(fd), n.data, n.control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		}
	})
	if err = cmp.Or(err, failure); err == nil {
		n.handle(n.data[:size], n.control[:controlSize], flags)
	}
	return err
}

// handle delivers a datagram, or drops it. Every fd that came with it is
// closed here, but the one of a barrier.
func (n *Notify) handle(data, control []byte, flags int) {
	cred, fds := ancillary(control)
	defer func() {
		for _, fd := range fds {
			syscall.Close(fd)
		}
	}()
	if cred == nil || cred.Pid <= 0 || flags&unix.MSG_TRUNC != 0 {
		// Pid 0 is a sender outside our pid namespace.
		return
	}
	m, barrier, ok := parse(data)
	if !ok || n.closed.Load() || !n.accept(int(cred.Pid), cred.Uid) {
		return
	}
	if barrier {
		if len(fds) != 1 || flags&unix.MSG_CTRUNC != 0 {
			return
		}
		fd := fds[0]
		m.Barrier = sync.OnceFunc(func() { syscall.Close(fd) })
		fds = nil
	}
	if m.MainPid == os.Getpid() {
		m.MainPid = 0
	}
	m.Pid, m.Uid = int(cred.Pid), cred.Uid
	n.deliver(m)
}

// ancillary takes the credentials and the fds out of the control data.
func ancillary(control []byte) (cred *unix.Ucred, fds []int) {
	list, _ := unix.ParseSocketControlMessage(control)
	for k := range list {
		if rights, err := unix.ParseUnixRights(&list[k]); err == nil {
			fds = append(fds, rights...)
		} else if c, err := unix.ParseUnixCredentials(&list[k]); err == nil {
			cred = c
		}
	}
	return cred, fds
}

// Close closes the socket, ends the reader and unlinks the path if it is still
// this socket's. It waits for nothing, so a delivery that has begun may end
// after it. It may be called more than once.
func (n *Notify) Close() {
	if n.closed.Swap(true) {
		return
	}
	n.file.Close()
	n.bound.unlink()
}

// polled asks for the state of fd without waiting.
func polled(fd uintptr, events int16) bool {
	happened, err := procnet.Poll(int(fd), events, 0)
	return happened != 0 || err != nil
}
