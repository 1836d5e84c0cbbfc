package gatewire

import (
	"os"
	"syscall"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/internal/unixname"
)

// backlog is how many connections wait to be accepted: all members of a gate that has
// just come back.
const backlog = 128

// Listener is where members connect. It owns the socket and its file.
type Listener struct {
	_ [0]func() // no ==, so no code for it

	file *os.File
	raw  syscall.RawConn
	made unixname.Made
}

// Listen opens the gate's socket at address, a path or @name. Anybody may connect who may
// search the directory: who may join is decided by Conn.Peer. A stale socket is replaced,
// one where somebody listens is EADDRINUSE.
func Listen(address string) (*Listener, error) {
	fd, made, err := unixname.Listen(address, 0o666, backlog)
	if err != nil {
		return nil, text.Errorf("cannot listen on %s: %w", address, err)
	}
	l := &Listener{file: os.NewFile(uintptr(fd), address), made: made}
	l.raw, _ = l.file.SyscallConn() // no error: the file is open
	return l, nil
}

// Accept waits for the next connection. os.ErrClosed is the end; with any other error
// (no descriptor is left, say) the connection waits, and the caller before it tries again.
func (l *Listener) Accept() (*Conn, error) {
	fd, err := procnet.Accept(l.raw)
	switch err {
	case nil:
		return NewConn(fd), nil
	case os.ErrClosed:
		return nil, err
	}
	return nil, text.Errorf("cannot accept a member: %w", err)
}

// Close ends Accept, and removes the file unless another one is there by now. Connections
// live on.
func (l *Listener) Close() {
	l.made.Remove()
	_ = l.file.Close()
}
