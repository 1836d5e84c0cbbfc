package control

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/internal/unixname"
	"golang.org/x/sys/unix"
)

// ErrOff is the answer of Listen and Find when SWAPINIT_CONTROL is off.
var ErrOff = errors.New("control is off (SWAPINIT_CONTROL=off)")

const (
	namePrefix = "@swapinit/"
	backlog    = 128
)

// Server is the init's end. It owns the listening socket, every connection and
// their goroutines until Close.
type Server struct {
	address string
	uid     uint32
	file    *os.File
	raw     syscall.RawConn
	made    unixname.Made // the socket at a path

	limits limits
	handle func(*Call)
	logf   func(string)

	quit    chan struct{} // closed by Close
	once    sync.Once     // Close
	mu      sync.Mutex
	clients map[*conn]struct{}
	freed   chan struct{}  // a client has left
	wg      sync.WaitGroup // the accept loop and every connection
}

// Listen opens the control socket. setting is SWAPINIT_CONTROL: auto (or "") is
// the abstract name @swapinit/<pid namespace inode>, followed by /<pid> unless
// pid, the init's own, is 1; an absolute path, of which a stale socket is
// replaced and a live one refused; @name. ownUid is let in besides uid 0.
// Nobody is served before Serve.
func Listen(setting string, pid, ownUid int) (*Server, error) {
	name, err := address(setting)
	if err != nil {
		return nil, err
	}
	if name == "" {
		inode, err := procnet.Namespace("pid")
		if err != nil {
			return nil, text.Errorf("cannot name control socket: %w, set SWAPINIT_CONTROL to off, an absolute path or @name", err)
		}
		name = autoName(inode, pid)
	}
	s := &Server{address: name, uid: uint32(ownUid), limits: usual, quit: make(chan struct{}), clients: map[*conn]struct{}{}, freed: make(chan struct{}, 1)}
	if err := s.open(); err != nil {
		return nil, text.Errorf("cannot open control socket %s: %w", name, err)
	}
	return s, nil
}

// address checks SWAPINIT_CONTROL; it is "" for auto.
func address(setting string) (string, error) {
	switch {
	case setting == "off":
		return "", ErrOff
	case setting == "" || setting == "auto":
		return "", nil
	case strings.HasPrefix(setting, "/") || strings.HasPrefix(setting, "@") && setting != "@":
		return setting, nil
	}
	return "", errors.New("cannot use SWAPINIT_CONTROL=" + strconv.Quote(setting) + ", accepted: auto, off, an absolute path, @name")
}

// open makes the listening socket; after an error nothing is left of it.
func (s *Server) open() error {
	// The peer check is what guards it, beside the mode.
	fd, made, err := unixname.Listen(s.address, 0o600, backlog)
	if errors.Is(err, unix.EADDRINUSE) {
		by := ""
		if cred, err := unixname.Listener(s.address); err == nil {
			by = " (" + who(cred) + ")"
		}
		return text.Errorf("%w, is another swapinit running%s?", err, by)
	}
	if err != nil {
		return err
	}
	s.made = made
	s.file = os.NewFile(uintptr(fd), s.address)
	s.raw, _ = s.file.SyscallConn() // no error: the file is open
	return nil
}

// Address is what SWAPINIT_CONTROL of a child or a verb has to be: @name or a path.
func (s *Server) Address() string { return s.address }

// autoName is the abstract name of the init with this pid. Abstract names are
// shared by a network namespace, which a container may share with its host; the
// inode of the pid namespace tells whose name it is.
func autoName(inode uint64, pid int) string {
	name := namePrefix + strconv.FormatUint(inode, 10)
	if pid != 1 {
		name += "/" + strconv.Itoa(pid)
	}
	return name
}
