package control

import (
	"os"
	"slices"
	"strconv"
	"strings"
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
	inode, err := pidNamespace()
	var text []byte
	if err == nil {
		text, err = os.ReadFile("/proc/net/unix")
	}
	if err != nil {
		return "", &NoInit{"cannot look for swapinit: " + err.Error() + ", set SWAPINIT_CONTROL to its address", err}
	}
	names := listening(string(text), inode)
	switch len(names) {
	case 0:
		return "", &NoInit{Reason: "no swapinit is running in this pid namespace (looked for " + autoName(inode, 1) + "; one with another address needs SWAPINIT_CONTROL)"}
	case 1:
		return names[0], nil
	}
	return "", &NoInit{Reason: strconv.Itoa(len(names)) + " swapinits are running in this pid namespace: " + strings.Join(names, " ") + ", set SWAPINIT_CONTROL to one of them"}
}

// listening picks from the text of /proc/net/unix (proc_net(5)) the automatic
// names of one pid namespace that somebody listens on. Connections that
// were accepted bear the listener's name too, but not its flag.
func listening(text string, inode uint64) (names []string) {
	const acceptCon, stream = 1 << 16, "0001" // __SO_ACCEPTCON, SOCK_STREAM
	for _, line := range strings.Split(text, "\n") {
		// Num RefCount Protocol Flags Type St Inode Path
		f := strings.Fields(line)
		if len(f) != 8 || f[4] != stream {
			continue
		}
		flags, err := strconv.ParseUint(f[3], 16, 32)
		if err != nil || flags&acceptCon == 0 {
			continue
		}
		if _, ok := autoPid(f[7], inode); ok && !slices.Contains(names, f[7]) {
			names = append(names, f[7])
		}
	}
	return names
}

// autoPid is the pid that belongs to an automatic name of this pid namespace.
func autoPid(name string, inode uint64) (pid int, ok bool) {
	rest, ok := strings.CutPrefix(name, autoName(inode, 1))
	if !ok {
		return 0, false
	}
	if rest == "" {
		return 1, true
	}
	pid, err := strconv.Atoi(strings.TrimPrefix(rest, "/"))
	return pid, err == nil && pid > 1 && name == autoName(inode, pid)
}
