package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket is one inherited endpoint.
type socket struct {
	name string
	file *os.File // owned; closed by closeAll or by the server when it stops
}

// take finds the inherited sockets in the dialect named by from.
func take(from string) ([]socket, error) {
	switch from {
	case "none":
		return nil, nil
	case "systemd":
		return systemd()
	case "starter":
		return serverStarter()
	case "einhorn":
		return einhorn()
	case "stdin":
		return []socket{{"stdin", os.NewFile(0, "stdin")}}, nil
	case "auto":
	default:
		return nil, fmt.Errorf("unknown -from %q", from)
	}
	switch {
	case os.Getenv("LISTEN_FDS") != "":
		return systemd()
	case os.Getenv("SERVER_STARTER_PORT") != "":
		return serverStarter()
	case os.Getenv("EINHORN_FD_COUNT") != "":
		return einhorn()
	case isSocket(0):
		return []socket{{"stdin", os.NewFile(0, "stdin")}}, nil
	}
	return nil, nil
}

// systemd is strict, as sd_listen_fds(3) is: LISTEN_PID must be this process.
func systemd() ([]socket, error) {
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil {
		return nil, fmt.Errorf("LISTEN_FDS: %w", err)
	}
	if pid := os.Getenv("LISTEN_PID"); pid != strconv.Itoa(os.Getpid()) && os.Getenv("SERVER_DAEMON") == "" {
		return nil, fmt.Errorf("LISTEN_PID is %s, this process is %d", pid, os.Getpid())
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	if len(names) != n {
		return nil, fmt.Errorf("LISTEN_FDS is %d, LISTEN_FDNAMES has %q", n, names)
	}
	var all []socket
	for i, name := range names {
		all = append(all, socket{name, os.NewFile(uintptr(3+i), name)})
	}
	return all, nil
}

// serverStarter reads "8080=3;/run/a.sock=4".
func serverStarter() ([]socket, error) {
	var all []socket
	for pair := range strings.SplitSeq(os.Getenv("SERVER_STARTER_PORT"), ";") {
		at := strings.LastIndexByte(pair, '=')
		if at < 0 {
			return nil, fmt.Errorf("SERVER_STARTER_PORT: no fd in %q", pair)
		}
		fd, err := strconv.Atoi(pair[at+1:])
		if err != nil {
			return nil, fmt.Errorf("SERVER_STARTER_PORT: %w", err)
		}
		all = append(all, socket{pair[:at], os.NewFile(uintptr(fd), pair)})
	}
	return all, nil
}

func einhorn() ([]socket, error) {
	if master := os.Getenv("EINHORN_MASTER_PID"); master != strconv.Itoa(os.Getppid()) {
		return nil, fmt.Errorf("EINHORN_MASTER_PID is %s, the parent is %d", master, os.Getppid())
	}
	n, err := strconv.Atoi(os.Getenv("EINHORN_FD_COUNT"))
	if err != nil {
		return nil, fmt.Errorf("EINHORN_FD_COUNT: %w", err)
	}
	var all []socket
	for i := range n {
		name := fmt.Sprintf("EINHORN_FD_%d", i)
		fd, err := strconv.Atoi(os.Getenv(name))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, socket{name, os.NewFile(uintptr(fd), name)})
	}
	return all, nil
}

func isSocket(fd int) bool {
	var st syscall.Stat_t
	return syscall.Fstat(fd, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFSOCK
}

// atBoot does what a careless server does to a socket that others share.
func atBoot(o options, sockets []socket) {
	if o.atBoot == "" || len(sockets) == 0 {
		return
	}
	fd := int(sockets[0].file.Fd())
	var err error
	switch o.atBoot {
	case "shutdown":
		err = syscall.Shutdown(fd, syscall.SHUT_RDWR)
	case "nonblock":
		err = syscall.SetNonblock(fd, true)
	case "block":
		err = syscall.SetNonblock(fd, false)
	case "defer": // a connection is half open until its first data comes
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 60)
	default:
		err = errors.New("unknown -at-boot")
	}
	if err != nil {
		fatal("cannot %s the socket: %v", o.atBoot, err)
	}
}

func closeAll(sockets []socket) {
	for _, s := range sockets {
		if err := s.file.Close(); err != nil {
			fatal("cannot close %s: %v", s.name, err)
		}
	}
}

// connect is a tiny client for shells inside a container:
// "server connect tcp 127.0.0.1:8080" prints what GET / answers.
func connect(args []string) {
	if len(args) != 2 {
		fatal("usage: server connect NETWORK ADDRESS")
	}
	conn, err := net.Dial(args[0], args[1])
	if err != nil {
		fatal("%v", err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		os.Stdout.Write(buf[:n])
		if err != nil {
			return
		}
	}
}
