package steer

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/swapinit/swapinit/internal/busy"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// Group is the sockets of one endpoint, of which each generation has its own,
// and what leads connections to one or the other. TCP and Unix open theirs here;
// another implementation may have them from elsewhere. What all promise:
//
//   - The methods may be called from any goroutine, and after Close.
//   - Each may wait: for a file system, a long table of the kernel's, somebody in
//     another container. So a loop calls none, but has a Mover call them. A wait
//     for somebody has an end of its own. Waits says whether Add, Aim and Leave
//     take more than microseconds.
//   - It owns all its sockets. Lend returns a duplicate, which is the caller's.
//   - Aim is atomic: a connection goes where it went before or where it is to
//     go, and connections that exist stay where they are. If it fails, nothing
//     has changed, and it may be tried again.
//   - A socket to which connections go is never closed; one that nobody has any
//     more is, and what waits in it is reset and not left hanging.
type Group interface {
	// Add gives generation n a socket, which gets no connection until Aim says
	// so. Where the generation with the traffic has left, n takes over its socket
	// and what waits in it; with share, or where generations share (Reason), it has
	// the socket with the traffic. Nothing happens if n has one.
	Add(n int, share bool) error
	// Aim sends share/shares.Full of the connections that begin from now on to
	// generation to, the others to rest; where that has no socket, all of them to to. by
	// decides which; a Unix group has no addresses and takes no notice of it.
	// ErrNoSocket: to has none. ErrClosed is final.
	Aim(to, rest, share int, by shares.By) error
	// Leave: generation n has no process any more. Its socket is closed, unless
	// another generation has it too or connections go there: then it stays, until
	// Aim leads them elsewhere or Add hands it on. An unknown n is no error.
	Leave(n int)

	// Lend duplicates generation n's socket, close-on-exec and above 2, for a
	// fork. inode is the socket's, see Inode.
	Lend(n int) (fd int, inode uint64, err error)
	// Inode is that of generation n's socket, 0 if it has none.
	Inode(n int) uint64
	// Share is generation n's part of the new connections in 1/shares.Full; ok is false
	// where it shares its socket or has none, and while networks decide.
	Share(n int) (share int, ok bool)
	// Reason is why generations share a socket, "" where each has its own.
	Reason() string
	// SetShared makes all generations that come share; "" ends that.
	SetShared(reason string)

	// Observe returns the func that looks at generation n's connections, one look
	// a call; nil where n has no socket or shares it, or nobody can see them. It
	// keeps nothing open, and may be called by one goroutine at a time. After n has
	// left it finds nothing.
	Observe(n int) func(idleAfter time.Duration) (Look, error)
	// Counts tells each what a look at every generation finds, in one go. Those
	// that cannot be observed are left out; Half is not counted.
	Counts(idleAfter time.Duration, each func(n int, l Look)) error

	// Mend looks at the sockets and repairs what a process has harmed. It
	// returns what it did, or why it could not; neither when all is well.
	Mend() (line string, err error)
	// Watch has all sockets watched by whoever calls Mend when one is harmed.
	Watch() error
	Waits() bool
	// Close closes all sockets. A process that holds one keeps it.
	Close()
}

// Look is what one look at a generation's connections has found.
type Look struct {
	Open   int  // accepted or not
	Idle   int  // of these: quiet for some time, with nothing left to do
	Half   int  // handshakes that were under way at the first look and still are
	Queued int  // of Open: not accepted yet
	Unseen bool // Open and Idle cannot be told; Half is 1 while something may be on its way

	// Busy names busy.Most of these and of the handshakes, those that are not idle first, and
	// the oldest of them first. Observe's only, and only TCP's: other clients have no address.
	Busy []busy.Conn
}

// Errors of any group.
var (
	ErrClosed   = errors.New("the endpoint is closed")
	ErrNoSocket = errors.New("it has no socket")
	ErrFull     = errors.New("no place for another socket now") // a guarded group's
)

// member is one socket of a group, which owns fd.
type member struct {
	fd    int
	inode uint64
	tag   uint8  // TCP: 0 until a generation gets it
	path  Path   // Unix: what fd and inode are of
	bound string // Unix: its name
}

// holding is what a group of our own sockets knows of the generations.
type holding struct {
	mu      sync.Mutex
	holders map[int]*member // by generation; two may have the same; nil after Close
	target
	shared  string // SetShared
	trouble string // why all share, for as long as it lasts
	latest  string // why the latest generation shares a socket
	alone   bool   // see NeverShare
}

// target is where connections go.
type target struct {
	to    *member // gets share/shares.Full of them
	rest  *member // gets the others; the same as to when to gets all
	share int
	by    shares.By
}

func (t *target) aimed(m *member) bool { return m == t.to || m == t.rest }

// part is what share m gets.
func (t *target) part(m *member) (share int) {
	if m == t.to {
		share = t.share
	}
	if m == t.rest {
		share += shares.Full - t.share
	}
	return share
}

// aim is Aim; move makes it so.
func (h *holding) aim(to, rest, share int, by shares.By, move func(target) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch share = min(max(share, 0), shares.Full); share {
	case 0:
		to = rest
	case shares.Full:
		rest = to
	}
	t := target{h.holders[to], h.holders[rest], share, by}
	if t.rest == nil { // it never had this endpoint, or has left
		t.rest = t.to
	}
	if t.to == t.rest {
		t.share, t.by = shares.Full, shares.Random
	}
	var err error
	switch {
	case h.holders == nil:
		err = ErrClosed
	case t.to == nil:
		err = ErrNoSocket
	default:
		err = move(t)
	}
	if err != nil {
		return text.Errorf("cannot aim connections at generation %d: %w", to, err)
	}
	return nil
}

func (h *holding) Share(n int) (share int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.own(n)
	if m == nil || h.reason() != "" || h.by.ByNetworks() && h.aimed(m) {
		return 0, false
	}
	return h.part(m), true
}

func (h *holding) Lend(n int) (fd int, inode uint64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.holders[n]
	if m == nil {
		return -1, 0, ErrNoSocket
	}
	fd, err = unix.FcntlInt(uintptr(m.fd), unix.F_DUPFD_CLOEXEC, 3)
	return fd, m.inode, err
}

func (h *holding) Inode(n int) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.holders[n]; m != nil {
		return m.inode
	}
	return 0
}

func (h *holding) Reason() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reason()
}

func (h *holding) reason() string {
	return cmp.Or(h.shared, h.trouble, h.latest)
}

func (h *holding) SetShared(reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shared = reason
}

// Unserved reports whether connections wait for whoever comes next: no generation has
// a socket to which they go.
func (h *holding) Unserved() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.holders != nil && h.users(h.to) == 0 && h.users(h.rest) == 0
}

// own is generation n's socket, nil unless it has that for itself.
func (h *holding) own(n int) *member {
	if m := h.holders[n]; m != nil && h.users(m) == 1 {
		return m
	}
	return nil
}

// users counts the generations that have m.
func (h *holding) users(m *member) (n int) {
	for _, held := range h.holders {
		if held == m {
			n++
		}
	}
	return n
}

func without(list []*member, m *member) []*member {
	if i := slices.Index(list, m); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}
