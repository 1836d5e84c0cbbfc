package ready

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/internal/unixname"
	"golang.org/x/sys/unix"
)

// bound is a datagram socket with a name. path is empty for an abstract one;
// else dev and ino tell whether the path is still this socket's.
type bound struct {
	fd      int
	address string // as in NOTIFY_SOCKET
	path    string
	dev     uint64
	ino     uint64
}

// bindNotify binds in the first usable directory: some client libraries
// cannot speak to an abstract name. An image may have no such directory at
// all, hence the abstract name as the last resort.
func bindNotify(generation int, dirs []string, uid int) (*bound, error) {
	base := "swapinit-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(generation)
	for _, dir := range dirs {
		if !usable(dir, uid) {
			continue
		}
		// The plain name comes first so that what a killed swapinit left
		// behind is replaced and does not pile up.
		file := strings.TrimSuffix(dir, "/") + "/" + base
		b, err := bindPath(file + ".notify")
		if err != nil {
			b, err = bindPath(file + "-" + random() + ".notify")
		}
		if err == nil {
			return b, nil
		}
	}
	// Abstract names belong to the network namespace, which containers can
	// share with each other and with the host.
	inode, _ := procnet.Namespace("pid") // 0 without /proc
	name := "@" + base + "-" + strconv.FormatUint(inode, 10) + "-" + random()
	fd, err := socket(name)
	if err != nil {
		return nil, text.Errorf("cannot create notification socket: %w", err)
	}
	return &bound{fd: fd, address: name}, nil
}

func bindPath(file string) (*bound, error) {
	// The directory may be shared with another container whose swapinit has the
	// same pid, so a living one stays.
	_ = unixname.RemoveStale(file, unix.SOCK_DGRAM)
	fd, err := socket(file) // too long a name is an error
	if err != nil {
		return nil, err
	}
	b := &bound{fd: fd, address: file, path: file}
	var st syscall.Stat_t
	if err = syscall.Lstat(file, &st); err == nil {
		b.dev, b.ino = uint64(st.Dev), st.Ino
		// Sending needs write permission, and a server may drop its
		// privileges before it is ready. Who may speak is decided by the
		// credentials of each message, not by the mode. usable made sure that
		// nobody else can have put a symbolic link here.
		err = unix.Chmod(file, 0o666)
	}
	if err != nil {
		syscall.Close(fd)
		b.unlink()
	}
	return b, err
}

// has reports whether the path is there and still this socket's.
func (b *bound) has() bool {
	var st syscall.Stat_t
	return syscall.Lstat(b.path, &st) == nil && uint64(st.Dev) == b.dev && st.Ino == b.ino
}

// unlink removes the path unless somebody replaced it.
func (b *bound) unlink() {
	if b.path != "" && b.has() {
		syscall.Unlink(b.path)
	}
}

// Lost reports whether nobody can find the socket any more: its path was removed, or
// leads to another. Of none there is nothing to lose.
func (n *Notify) Lost() bool { return n != nil && n.bound.path != "" && !n.bound.has() }

// socket returns a bound nonblocking datagram socket that asks for the
// sender's credentials. They are asked for before the bind: a message that
// arrived earlier would have none.
func socket(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: name})
	}
	if err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// usable reports whether a name in dir stays ours, because nobody but root and
// ourselves can rename it, and whether uid can reach it. Whether it can be
// written is seen at the bind.
func usable(dir string, uid int) bool {
	var st syscall.Stat_t
	if !strings.HasPrefix(dir, "/") || syscall.Stat(dir, &st) != nil || st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return false
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 && st.Mode&syscall.S_ISVTX == 0 {
		return false
	}
	if uid < 0 {
		uid = os.Geteuid()
	}
	if uid == 0 {
		return true
	}
	// dir and all above it, / too.
	for i := len(dir); i >= 0; i = strings.LastIndexByte(dir[:i], '/') {
		if syscall.Stat(dir[:i]+"/", &st) != nil {
			return false
		}
		// The groups of uid are unknown here, so they count for nothing.
		search := uint32(syscall.S_IXOTH)
		if int(st.Uid) == uid {
			search = syscall.S_IXUSR
		}
		if st.Mode&search == 0 {
			return false
		}
	}
	return true
}

// random is a name's part that differs from that of any other swapinit whose
// network namespace this one shares.
func random() string { return strconv.FormatUint(rand.Uint64(), 16) }
