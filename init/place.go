package pid1

import (
	"os"
	"slices"

	"github.com/swapinit/swapinit/internal/file"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/procnet"
)

// readPlace finds out where swapinit runs: under a shell, on a network of the container's own.
func (e *examination) readPlace() {
	if os.Getpid() != 1 && below(1) {
		p := e.launcher.observed(1)
		e.First = &p
	}
	if e.gate == nil && len(e.set.Sides) == 0 && e.loopbackOnly() && bridged("/sys/class/net") && !procnet.Outside() {
		for _, at := range e.endpoints.Endpoints() {
			if port := int(at.Addr.Port()); !slices.Contains(e.Loopback, port) {
				e.Loopback = append(e.Loopback, port)
			}
		}
	}
}

// below reports whether a process is among our ancestors. With docker exec, whose parent is in
// another pid namespace, nobody is.
func below(pid int) bool {
	for at, ok := readProcess(os.Getppid()); ok && at.pid > 0; at, ok = readProcess(at.ppid) {
		if at.pid == pid {
			return true
		}
	}
	return false
}

// loopbackOnly: there are endpoints, and all are TCP ones that the settings name on a loopback
// address.
func (e *examination) loopbackOnly() bool {
	all := e.endpoints.Endpoints()
	return len(all) > 0 && !slices.ContainsFunc(all, func(at listen.Endpoint) bool { return !at.IsTCP() || at.Inherited || !at.Addr.Addr().IsLoopback() })
}

// bridged reports whether this is the network of a container on a bridge: all its interfaces
// but lo are ends of a pair whose other end is elsewhere. The host has others, such as its
// network card and the bridge itself. Tunnels that the kernel puts into each network, and that
// lead nowhere, do not count. dir is /sys/class/net.
func bridged(dir string) (yes bool) {
	names, err := entries(dir)
	if err != nil {
		return false
	}
	for _, name := range names {
		index, _ := file.Read(dir + "/" + name + "/ifindex")
		link, _ := file.Read(dir + "/" + name + "/iflink")
		switch {
		case name == "lo", string(link) == "0\n":
		case len(link) == 0 || string(index) == string(link):
			return false
		default:
			yes = true
		}
	}
	return yes
}
