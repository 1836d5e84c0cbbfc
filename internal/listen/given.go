package listen

import (
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/netip"
	"golang.org/x/sys/unix"
)

// NoFile is Given.Stdin where no endpoint is on fd 0.
const NoFile = ^uintptr(0)

// The dialects in which endpoints can be announced (SWAPINIT_EXPORT).
const (
	Systemd       = "systemd"
	ServerStarter = "server-starter"
	Einhorn       = "einhorn"
)

// Given is what one generation gets. The descriptors are its own (Set.Lend):
// whoever forks duplicates them into the child and then calls Close.
type Given struct {
	Stdin     uintptr    // the endpoint with fd=0, or NoFile
	Files     []uintptr  // for the child's fds 3, 4, ...; none without Set.Lend
	Endpoints []Endpoint // all, in the order of Set.Endpoints, with the inodes of this generation's sockets
}

// Close closes the descriptors.
func (g Given) Close() {
	for _, fd := range g.Files {
		_ = syscall.Close(int(fd))
	}
	if g.Stdin != NoFile {
		_ = syscall.Close(int(g.Stdin))
	}
}

// FD is the child's descriptor of the endpoint with that name: {fd.NAME}. Of
// inherited endpoints with one name the first counts.
func (g Given) FD(name string) (int, bool) {
	fd := firstFD
	for i := range g.Endpoints {
		switch e := &g.Endpoints[i]; {
		case e.Name == name && e.Stdin:
			return 0, true
		case e.Name == name:
			return fd, true
		case !e.Stdin:
			fd++
		}
	}
	return 0, false
}

// NonblockFD is FD for a server that takes over sockets as they are and polls
// them: it sets O_NONBLOCK on that endpoint's. In the variable NGINX an nginx
// passes its sockets, which have it, to another nginx, which therefore never
// sets it (ngx_open_listening_sockets passes over inherited ones) and would hang
// in accept(2) whenever another worker was faster. The flag is the socket's, so all
// who hold it see it.
func (g Given) NonblockFD(name string) (int, bool) {
	fd, ok := g.FD(name)
	own := g.Stdin
	if n := fd - firstFD; n >= 0 && n < len(g.Files) {
		own = g.Files[n]
	}
	if ok && own != NoFile {
		_ = unix.SetNonblock(int(own), true) // it is an open socket
	}
	return fd, ok
}

// Environ announces the endpoints in the dialects asked for; unknown ones
// are passed over. Nothing at all is said when there is no endpoint, so that
// a server which finds no variable opens its own socket.
//
//	systemd         LISTEN_FDS=2 LISTEN_PID=0 LISTEN_FDNAMES=web:a.sock
//	server-starter  SERVER_STARTER_PORT=8080=3;/run/a.sock=4 SERVER_STARTER_GENERATION=1
//	einhorn         EINHORN_FD_0=3 EINHORN_FD_1=4 EINHORN_FD_COUNT=2
//	                EINHORN_FDS=3 4 EINHORN_MASTER_PID=1
//
// LISTEN_PID is a placeholder until the child knows its own pid. The endpoint on
// fd 0 has no place in LISTEN_FDS, the others have it: 8080=0. Server::Starter has no
// form for other kinds of sockets than those of starterKey, which are left out there.
func (g Given) Environ(dialects []string, generation, masterPid int) []string {
	var env, einhorn []string
	names, ports, numbers, fds := "", "", "", 0
	for i := range g.Endpoints {
		e := &g.Endpoints[i]
		number := "0"
		if !e.Stdin {
			number = strconv.Itoa(firstFD + fds)
			names += ":" + e.Name
			fds++
		}
		numbers += " " + number
		if key := starterKey(&e.Spec); key != "" {
			ports += ";" + key + "=" + number
		}
		einhorn = append(einhorn, "EINHORN_FD_"+strconv.Itoa(len(einhorn))+"="+number)
	}
	if fds > 0 && slices.Contains(dialects, Systemd) {
		env = append(env, "LISTEN_FDS="+strconv.Itoa(fds), "LISTEN_PID=0", "LISTEN_FDNAMES="+names[1:])
	}
	if ports != "" && slices.Contains(dialects, ServerStarter) {
		env = append(env, "SERVER_STARTER_PORT="+ports[1:], "SERVER_STARTER_GENERATION="+strconv.Itoa(generation))
	}
	if count := len(einhorn); count > 0 && slices.Contains(dialects, Einhorn) {
		env = append(append(env, einhorn...), "EINHORN_FD_COUNT="+strconv.Itoa(count), "EINHORN_FDS="+numbers[1:], "EINHORN_MASTER_PID="+strconv.Itoa(masterPid))
	}
	return env
}

// starterKey is the left side of an entry in SERVER_STARTER_PORT, as start_server has
// it in --port: the port alone for all addresses, with a u before it for UDP.
// (start_server itself leaves the u out of the variable, and a TCP and a UDP socket
// on one port would be one entry to Server::Starter's server_ports.)
func starterKey(spec *Spec) string {
	u := ""
	switch {
	case spec.Network == "unix" && strings.HasPrefix(spec.Path, "/") && !strings.ContainsAny(spec.Path, ";="):
		return spec.Path
	case strings.HasPrefix(spec.Network, "udp"):
		u = "u"
	case !spec.IsTCP():
		return "" // or inherited: unnamed, abstract, or not expressible
	}
	port := u + strconv.Itoa(int(spec.Addr.Port()))
	if spec.dualStack() || spec.Addr.Addr() == netip.IPv4Unspecified() {
		return port
	}
	all := spec.Addr.String()
	return all[:strings.LastIndexByte(all, ':')+1] + port
}
