package listen

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ParseOwn reads the address of a socket that swapinit itself serves (SWAPINIT_METRICS): one
// of SWAPINIT_LISTEN's items that accepts connections, or just an absolute path.
func ParseOwn(address string) (specs []Spec, err error) {
	if strings.HasPrefix(address, "/") {
		address = "unix:" + address
	}
	if specs, err = Parse(address); err != nil {
		return nil, err
	}
	if len(specs) != 1 || !specs[0].isStream() || specs[0].Stdin {
		return nil, errors.New("not one address that accepts connections")
	}
	return specs, nil
}

// Own is a listening socket that swapinit itself serves.
type Own struct {
	File *os.File // does not block
	set  *Set
}

// OpenOwn opens what ParseOwn reads; for "" nothing, and that is nil.
func OpenOwn(address string) (*Own, error) {
	if address == "" {
		return nil, nil
	}
	specs, err := ParseOwn(address)
	if err != nil {
		return nil, err
	}
	o := &Own{}
	if o.set, err = Open(specs, nil, nil); err != nil {
		return nil, err
	}
	l := o.set.listeners[0]
	socket := l.fd
	if l.unix != nil {
		socket, _, _ = l.unix.Socket()
	}
	fd, err := unix.FcntlInt(uintptr(socket), unix.F_DUPFD_CLOEXEC, 3)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		o.set.Close()
		return nil, err
	}
	o.File = os.NewFile(uintptr(fd), address)
	return o, nil
}

// Close closes it, and unlinks its path; also one that was never opened.
func (o *Own) Close() {
	if o != nil {
		o.File.Close()
		o.set.Close()
	}
}
