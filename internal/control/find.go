package control

import (
	"slices"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/procnet"
	"golang.org/x/sys/unix"
)

// NoInit is the error of Find and Do when there is nobody to talk to.
type NoInit struct {
	Reason string
	Err    error // may be nil
}

func (e *NoInit) Error() string { return e.Reason }
func (e *NoInit) Unwrap() error { return e.Err }

// Find returns the address of the init that a verb is meant for. setting is
// SWAPINIT_CONTROL: an absolute path or @name is taken as it is; "" and auto
// look into /proc/net/unix for the one swapinit of our own pid namespace. Its
// errors are *NoInit.
func Find(setting string) (string, error) {
	name, err := address(setting)
	if err != nil {
		return "", &NoInit{err.Error(), err}
	}
	if name != "" {
		return name, nil
	}
	inode, err := procnet.Namespace("pid")
	var names []string
	if err == nil {
		err = procnet.EachUnix(func(u *procnet.Unix) {
			if name := string(u.Name); isAuto(u, inode) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		})
	}
	if err != nil {
		return "", &NoInit{"cannot look for swapinit: " + err.Error() + ", set SWAPINIT_CONTROL to its address", err}
	}
	switch len(names) {
	case 0:
		return "", &NoInit{Reason: "no swapinit is running in this pid namespace (looked for " + autoName(inode, 1) + "; one with another address needs SWAPINIT_CONTROL)"}
	case 1:
		return names[0], nil
	}
	return "", &NoInit{Reason: strconv.Itoa(len(names)) + " swapinits are running in this pid namespace: " + strings.Join(names, " ") + ", set SWAPINIT_CONTROL to one of them"}
}

// isAuto: somebody listens there by an automatic name of one pid namespace.
// Connections that were accepted bear the listener's name too, but do not listen.
func isAuto(u *procnet.Unix, inode uint64) bool {
	_, ok := autoPid(string(u.Name), inode)
	return ok && u.Listens && u.Type == unix.SOCK_STREAM
}

// autoPid is the pid that belongs to an automatic name of this pid namespace.
func autoPid(name string, inode uint64) (pid int, ok bool) {
	rest, found := strings.CutPrefix(name, autoName(inode, 1)+"/")
	if !found {
		return 1, name == autoName(inode, 1)
	}
	pid, _ = strconv.Atoi(rest) // 0 where it is none
	return pid, pid > 1 && name == autoName(inode, pid)
}
