package control

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/procnet"
	"github.com/swapinit/swapinit/internal/unixname"
	"golang.org/x/sys/unix"
)

// NoInit is the error of Find and Do when there is nobody to talk to.
type NoInit struct {
	Reason string
	Err    error // may be nil
}

// ErrNone is the Err of a NoInit where Find has found nobody.
var ErrNone = errors.New("there is no init")

func (e *NoInit) Error() string { return e.Reason }
func (e *NoInit) Unwrap() error { return e.Err }

// Find returns the address of the init that a verb is meant for. setting is
// SWAPINIT_CONTROL: an absolute path or @name is taken as it is; "" and auto
// look into /proc/net/unix for the one swapinit of our own pid namespace, see rank: more
// than one that can be meant is an error that lists them. Its
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
			if isAuto(u, inode) {
				names = append(names, string(u.Name))
			}
		})
	}
	if err != nil {
		return "", &NoInit{"cannot look for swapinit: " + err.Error() + ", set SWAPINIT_CONTROL to its address", err}
	}
	if best, all := nobody, names; len(all) > 1 { // there may be very many
		names = nil
		for _, name := range all {
			r := rank(name, inode)
			if r < best {
				best, names = r, nil
			}
			if r == best && r < nobody && len(names) < listed && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	switch len(names) {
	case 0:
		return "", &NoInit{Reason: "no swapinit is running in this pid namespace: is this the right container? (looked for " + autoName(inode, 1) + "; one with another address needs SWAPINIT_CONTROL)", Err: ErrNone}
	case 1:
		return names[0], nil
	}
	return "", &NoInit{Reason: strconv.Itoa(len(names)) + " swapinits are running in this pid namespace: " + strings.Join(names, " ") + ", set SWAPINIT_CONTROL to one of them"}
}

// listed bounds the names that are kept.
const listed = 10

// Whom rank finds.
const (
	ours   = iota // PID 1, or of root, of our own uid, or of PID 1's
	others        // of another uid, or one that has no time for us
	nobody        // not the process that the name says
)

// rank asks who listens at an automatic name. Anybody can have a name beside the
// init's, which does not say that an init is there; nobody can have another's pid. It
// never waits: a connection tells without being accepted.
func rank(name string, inode uint64) int {
	cred, err := unixname.Listener(name)
	pid, _ := autoPid(name, inode)
	var init unix.Stat_t
	switch {
	case err == unix.EAGAIN: // its queue is full
		return others
	case err != nil || int(cred.Pid) != pid:
		return nobody
	case pid == 1 || cred.Uid == 0 || int(cred.Uid) == unix.Getuid() || unix.Stat("/proc/1", &init) == nil && init.Uid == cred.Uid:
		return ours
	}
	return others
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
