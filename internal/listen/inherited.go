package listen

import (
	"strconv"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// firstFD is where inherited descriptors begin, SD_LISTEN_FDS_START of
// sd_listen_fds(3), and where the children's begin.
const firstFD = 3

// File is a socket that swapinit was given by whoever started it. FD is
// close-on-exec; it belongs to the caller until Open takes it over.
type File struct {
	FD int

	// Name is from LISTEN_FDNAMES, else the port or the path's last part. Network
	// may also be unixgram, unixpacket or other. The Path of an abstract name
	// begins with @, that of an unnamed socket is empty.
	Spec
}

// Inherited finds the sockets that LISTEN_FDS announces, if LISTEN_PID says
// that they are meant for the process pid. Its own rules, beyond
// sd_listen_fds(3): missing or unusable names are replaced by the default
// ones, and a descriptor that is no socket is an error, for it could not be
// an endpoint. All descriptors found are made close-on-exec.
func Inherited(environ []string, pid int) ([]File, error) {
	count, names, err := announced(environ, pid)
	if err != nil {
		return nil, err
	}
	var files []File
	for fd := firstFD; fd < firstFD+count; fd++ {
		// Before anything else: no child may get it by accident.
		_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC)
		file := File{FD: fd}
		if err == nil {
			err = file.describe()
		}
		if err != nil {
			return nil, text.Errorf("cannot take over fd %d: %w: LISTEN_FDS=%d promises sockets from fd 3 on", fd, err, count)
		}
		if i := fd - firstFD; i < len(names) && checkName(names[i]) == nil {
			file.Name = names[i]
		}
		files = append(files, file)
	}
	return files, nil
}

// announced reads the variables only. As in getenv(3) the first of several
// entries with one name counts.
func announced(environ []string, pid int) (count int, names []string, err error) {
	if value, ok := lookup(environ, "LISTEN_PID"); !ok || value != strconv.Itoa(pid) {
		return 0, nil, nil // for another process, or stale
	}
	value, ok := lookup(environ, "LISTEN_FDS")
	if !ok {
		return 0, nil, nil
	}
	n, err := strconv.ParseUint(value, 10, 20) // far beyond any limit
	if err != nil {
		return 0, nil, bad("LISTEN_FDS=", value, ": accepted is a number")
	}
	if value, ok := lookup(environ, "LISTEN_FDNAMES"); ok {
		names = strings.Split(value, ":")
	}
	return int(n), names, nil
}

func lookup(environ []string, name string) (string, bool) {
	for _, entry := range environ {
		if key, value, ok := strings.Cut(entry, "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}

// describe asks the socket itself what it is.
func (f *File) describe() error {
	f.Text, f.Backlog = "fd "+strconv.Itoa(f.FD), DefaultBacklog
	f.Name, f.Network = "unknown", "other" // systemd's word for a nameless fd
	kind, err := unix.GetsockoptInt(f.FD, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return err // ENOTSOCK
	}
	name, _ := syscall.Getsockname(f.FD) // nil: a family that has none, or an unknown one
	if name, ok := name.(*syscall.SockaddrUnix); ok {
		f.Network = [...]string{unix.SOCK_STREAM: "unix", unix.SOCK_DGRAM: "unixgram", unix.SOCK_SEQPACKET: "unixpacket"}[kind]
		if name.Name != "@" { // which stands for no name
			f.Path = name.Name
		}
		if base := lastPart(f.Path); checkName(base) == nil {
			f.Name = base
		}
		return nil
	}
	addr := procnet.AddrPort(name)
	transport := "tcp"
	switch {
	case !addr.IsValid() || kind != unix.SOCK_STREAM && kind != unix.SOCK_DGRAM:
		return nil // raw sockets, other families: passed on as they are
	case kind == unix.SOCK_DGRAM:
		transport = "udp"
	}
	if addr.Addr().Is4() {
		transport += "4"
	} else if only, err := unix.GetsockoptInt(f.FD, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); err == nil && only == 1 {
		transport += "6"
	}
	f.Addr, f.Network, f.Name = addr, transport, strconv.Itoa(int(addr.Port()))
	return nil
}
