package listen

import (
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/folder"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/internal/unixname"
	"golang.org/x/sys/unix"
)

// replaceable: what is at name, if anything, is of one of these kinds. Anything
// else is not ours to remove.
func replaceable(name string, kinds ...string) error {
	var stat syscall.Stat_t
	if syscall.Lstat(name, &stat) != nil {
		return nil // or what follows tells
	}
	if kind := kindOf(stat.Mode); !slices.Contains(kinds, kind) {
		return errors.New(name + " exists and is a " + kind + ", not a socket: remove it or choose another path")
	}
	return nil
}

// removeStale removes a socket that nobody listens on.
func removeStale(name string) error {
	if err := replaceable(name, "socket"); err != nil {
		return err
	}
	return unixname.RemoveStale(name, unix.SOCK_STREAM)
}

// clearHidden removes the hidden names beside the path that generations of an
// earlier life have left, by remove: NAME.N of its spare, NAME, and NAME~ of each. One that
// somebody listens on is an error, as that somebody is about to take the path.
func clearHidden(spare string, remove func(name string) error) error {
	base := lastPart(spare)
	directory := strings.TrimSuffix(spare, base)
	var live error
	_ = folder.Each(directory, func(name string) bool { // else bind tells, or generation N's bind that its name is taken
		tail, ok := strings.CutPrefix(name, base)
		if ok && strings.Trim(strings.TrimSuffix(tail, "~"), ".0123456789") == "" {
			if err := remove(directory + name); err == unixname.ErrLive {
				live = text.Errorf("%s is in use: %w", name, err)
			}
		}
		return live == nil
	})
	return live
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
