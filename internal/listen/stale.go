package listen

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/unixname"
	"golang.org/x/sys/unix"
)

// errLive: the path belongs to somebody who listens.
var errLive = errors.New("somebody listens there: end its process or choose another path")

// noSocket: the path is taken by something that is not ours to remove.
func noSocket(name, what string) error {
	return errors.New(name + " exists and is a " + what + ", not a socket: remove it or choose another path")
}

// removeStale removes a socket that nobody listens on.
func removeStale(name string) error {
	var stat syscall.Stat_t
	err := syscall.Lstat(name, &stat)
	if err == nil {
		if what := kindOf(stat.Mode); what != "socket" {
			return noSocket(name, what)
		}
		if err = refuseLive(name); err == nil {
			err = syscall.Unlink(name)
		}
	}
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// refuseLive returns nil when nobody listens.
func refuseLive(name string) error {
	if len(name) > maxPath {
		return nil // a spare of a long path: cannot be asked
	}
	if err := unixname.RefuseLive(name, unix.SOCK_STREAM); err != unixname.ErrLive {
		return err
	}
	return errLive
}

// clearHidden removes the hidden names beside the path that generations of an
// earlier life have left: NAME.N of its spare, NAME, and NAME~ of each. One that
// somebody listens on is an error, as that somebody is about to take the path.
func clearHidden(spare string) error {
	base := lastPart(spare)
	directory := strings.TrimSuffix(spare, base)
	file, err := os.Open(directory)
	if err != nil {
		return nil // bind tells, or generation N's bind that its name is taken
	}
	defer file.Close()
	for err == nil {
		var names []string
		names, err = file.Readdirnames(256)
		for _, name := range names {
			tail, ok := strings.CutPrefix(name, base)
			if !ok || strings.Trim(strings.TrimSuffix(tail, "~"), ".0123456789") != "" {
				continue
			}
			if removeStale(directory+name) == errLive {
				return fmt.Errorf("%s is in use: %w", name, errLive)
			}
		}
	}
	return nil
}

func kindOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		return "socket"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "symbolic link"
	case unix.S_IFREG:
		return "regular file"
	}
	return "special file"
}
