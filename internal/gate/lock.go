package gate

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// lock is what keeps a second gate from the same volume: flock(2) on a file beside
// the socket. It ends with the process, however that ends. The file stays: whoever
// removes it can have two gates.
type lock struct{ file *os.File }

// takeLock takes the lock of the gate at path. The error of a second gate names the
// first one, as that has written itself into the file.
func takeLock(path, who string) (*lock, error) {
	name := path + ".lock"
	// Not readable by members: whoever can open a file can lock it.
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, text.Errorf("cannot lock the gate's volume: %w, it has to be one that the gate can write to", err)
	}
	switch err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case err == unix.EWOULDBLOCK:
		other, _ := io.ReadAll(io.LimitReader(f, 200))
		f.Close()
		return nil, errors.New("another gate is running at " + path + " (" + text.Escape(strings.TrimSpace(string(other))) + "), one volume has one gate")
	case err != nil:
		f.Close()
		return nil, text.Errorf("cannot lock %s: %w", name, err)
	}
	// Only for the message above: without it the lock is as good.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(who+"\n"), 0)
	}
	return &lock{f}, nil
}

func (l *lock) close() {
	if l != nil {
		l.file.Close()
	}
}

// self names this process for people who see another container.
func self() string {
	host, _ := os.Hostname()
	return "host " + host + ", pid " + strconv.Itoa(os.Getpid())
}
