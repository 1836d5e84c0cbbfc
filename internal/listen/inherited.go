package listen

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// firstFD is where inherited descriptors begin, SD_LISTEN_FDS_START of
// sd_listen_fds(3), and where the children's begin.
const firstFD = 3

// File is a socket that swapinit was given by whoever started it. FD is
// close-on-exec; it belongs to the caller until Open takes it over.
type File struct {
	FD      int
	Name    string         // from LISTEN_FDNAMES, else the port or the path's last part
	Network string         // as in Spec; also unixgram, unixpacket, other
	Addr    netip.AddrPort // tcp and udp
	Path    string         // unix; an abstract name begins with @; empty when unnamed
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
			return nil, fmt.Errorf("cannot take over fd %d: %w: LISTEN_FDS=%d promises sockets from fd 3 on", fd, err, count)
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
	if count, ok = parseNumber(value, 1<<20); !ok {
		return 0, nil, bad("LISTEN_FDS=", value, ": accepted is a number")
	}
	if value, ok := lookup(environ, "LISTEN_FDNAMES"); ok {
		names = strings.Split(value, ":")
	}
	return count, names, nil
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
	fd := f.FD
	f.Name, f.Network = "unknown", "other" // systemd's word for a nameless fd
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return err // ENOTSOCK
	}
	var name unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&name)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return nil // a family that has none: passed on as it is
	}
	var addr netip.Addr
	version := ""
	switch name.Addr.Family {
	case unix.AF_INET:
		addr = netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&name)).Addr)
		version = "4"
	case unix.AF_INET6:
		addr = netip.AddrFrom16((*unix.RawSockaddrInet6)(unsafe.Pointer(&name)).Addr)
		if only, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); err == nil && only == 1 {
			version = "6"
		}
	case unix.AF_UNIX:
		f.describeUnix(kind, (*unix.RawSockaddrUnix)(unsafe.Pointer(&name)), int(size))
		return nil
	}
	transport := ""
	switch {
	case !addr.IsValid():
		return nil // another family
	case kind == unix.SOCK_STREAM:
		transport = "tcp"
	case kind == unix.SOCK_DGRAM:
		transport = "udp"
	default:
		return nil // raw sockets and the like
	}
	// Big endian, at the same place in both.
	port := (*[2]byte)(unsafe.Pointer(&(*unix.RawSockaddrInet4)(unsafe.Pointer(&name)).Port))
	f.Addr = netip.AddrPortFrom(addr, uint16(port[0])<<8|uint16(port[1]))
	f.Network = transport + version
	f.Name = strconv.Itoa(int(f.Addr.Port()))
	return nil
}

// describeUnix: size is of the whole address, see unix(7).
func (f *File) describeUnix(kind int, name *unix.RawSockaddrUnix, size int) {
	switch kind {
	case unix.SOCK_STREAM:
		f.Network = "unix"
	case unix.SOCK_DGRAM:
		f.Network = "unixgram"
	default:
		f.Network = "unixpacket"
	}
	var path []byte
	for i := 0; i < size-2 && i < len(name.Path) && (i == 0 || name.Path[i] != 0); i++ {
		path = append(path, byte(name.Path[i]))
	}
	if len(path) > 0 && path[0] == 0 {
		path[0] = '@'
	}
	f.Path = string(path)
	if base := lastPart(f.Path); checkName(base) == nil {
		f.Name = base
	}
}
