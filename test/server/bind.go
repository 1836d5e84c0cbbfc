package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// own is an address that the server binds by itself, with the system calls of a server
// that has never heard of swapinit: "tcp4://0.0.0.0:8080?reuseport&backlog=5". The
// networks are tcp4, tcp6, mptcp4, udp4, udp6 and unix ("unix://@name" is abstract).
// Options:
//
//	v6only=0|1   IPV6_V6ONLY; without it the kernel's default stays
//	reuseport    SO_REUSEPORT
//	plain        no SO_REUSEADDR
//	defer        TCP_DEFER_ACCEPT
//	sockets=N    so many sockets, one after the other
//	backlog=N    listen's
//	block        the socket is not O_NONBLOCK when it is bound
//	inherit      nor close-on-exec
//	epoll        an epoll instance has it before it is bound
//	twice        bind is called again, as after EINTR
//	after=FILE   it is bound when the file exists, in the background
//	late=FILE    it listens when the file exists, in the background
//	netns        in a network namespace of its own
//	hangup       connections are accepted, and closed at once
//	try          a failure is said, and is not fatal
type own struct {
	text    string
	kind    string
	address unix.Sockaddr
	options url.Values
}

func parseOwn(text string) (o own, err error) {
	o.text = text
	head, query, _ := strings.Cut(text, "?")
	if o.options, err = url.ParseQuery(query); err != nil {
		return o, err
	}
	kind, address, ok := strings.Cut(head, "://")
	if !ok {
		return o, fmt.Errorf("no network in %q", text)
	}
	if o.kind = kind; kind == "unix" {
		o.address = &unix.SockaddrUnix{Name: address}
		return o, nil
	}
	at, err := netip.ParseAddrPort(address)
	if strings.HasSuffix(kind, "6") {
		o.address = &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	} else if err == nil {
		o.address = &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	return o, err
}

func (o *own) number(name string, without int) int {
	if n, err := strconv.Atoi(o.options.Get(name)); err == nil {
		return n
	}
	return without
}

// socket makes one, and sets what has to be set before it is bound.
func (o *own) socket() (fd int, err error) {
	family, kind, protocol := unix.AF_INET, unix.SOCK_STREAM, 0
	switch o.kind {
	case "tcp6":
		family = unix.AF_INET6
	case "mptcp4":
		protocol = unix.IPPROTO_MPTCP
	case "udp4":
		kind = unix.SOCK_DGRAM
	case "udp6":
		family, kind = unix.AF_INET6, unix.SOCK_DGRAM
	case "unix":
		family = unix.AF_UNIX
	}
	if !o.options.Has("block") {
		kind |= unix.SOCK_NONBLOCK
	}
	if !o.options.Has("inherit") {
		kind |= unix.SOCK_CLOEXEC
	}
	if o.options.Has("netns") {
		runtime.LockOSThread() // for good: the thread ends with its goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return -1, fmt.Errorf("unshare: %w", err)
		}
	}
	if fd, err = unix.Socket(family, kind, protocol); err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	set := func(level, name, value int) {
		if err == nil {
			err = unix.SetsockoptInt(fd, level, name, value)
		}
	}
	if family != unix.AF_UNIX && !o.options.Has("plain") {
		set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if o.options.Has("reuseport") {
		set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if o.options.Has("v6only") {
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, o.number("v6only", 0))
	}
	if o.options.Has("defer") {
		set(unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 60)
	}
	if err == nil && o.options.Has("epoll") {
		err = watched(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("options: %w", err)
	}
	return fd, nil
}

// watched gives the socket to an epoll instance that stays open.
func watched(fd int) error {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	return unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN})
}

// open binds one socket, and listens on it.
func (o *own) open() (file *os.File, err error) {
	if path := o.options.Get("after"); path != "" {
		awaitFile(path)
	}
	fd, err := o.socket()
	if err != nil {
		return nil, err
	}
	if err = unix.Bind(fd, o.address); err == nil && o.options.Has("twice") {
		err = unix.Bind(fd, o.address)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("bind: %w", err)
	}
	if path := o.options.Get("late"); path != "" {
		say("waits to listen on %s", o.text)
		awaitFile(path)
	}
	if !strings.HasPrefix(o.kind, "udp") {
		err = unix.Listen(fd, o.number("backlog", 128))
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("listen: %w", err)
	}
	return os.NewFile(uintptr(fd), o.text), nil
}

// bind binds an address of the server's own, as many times as it says.
func (o *own) bind() (files []*os.File, err error) {
	for range o.number("sockets", 1) {
		file, err := o.open()
		if err != nil {
			return files, fmt.Errorf("cannot bind %s: %w", o.text, err)
		}
		say("bound %s %s", o.text, described(file))
		files = append(files, file)
	}
	return files, nil
}

// serveOwn serves on what was bound.
func (s *server) serveOwn(o own, files []*os.File) error {
	for _, file := range files {
		if o.options.Has("netns") {
			continue // nobody else comes there; it stays open
		}
		if strings.HasPrefix(o.kind, "udp") {
			packets, err := net.FilePacketConn(file)
			if err != nil {
				return err
			}
			go s.datagrams(packets)
		} else {
			l, err := net.FileListener(file)
			if err != nil {
				return err
			}
			if o.options.Has("hangup") {
				go hangUp(l)
			} else {
				s.serve(s.gate(l))
			}
		}
		_ = file.Close() // they have duplicates
	}
	return nil
}

// bindAndServe is for one that is named later.
func (s *server) bindAndServe(o own) error {
	files, err := o.bind()
	if err == nil {
		err = s.serveOwn(o, files)
	}
	return err
}

// hangUp closes whatever comes.
func hangUp(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_ = conn.Close()
	}
}

// bindAll binds what the command line has named, and then serves all of it. What waits
// for a file does so in the background.
func (s *server) bindAll() {
	var starts []func() error
	for _, text := range s.opts.bind {
		o, err := parseOwn(text)
		if err != nil {
			fatal("-bind: %v", err)
		}
		failed := func(err error) bool {
			if err != nil && !o.options.Has("try") {
				fatal("%v", err)
			} else if err != nil {
				say("%v", err)
			}
			return err != nil
		}
		if o.options.Has("after") || o.options.Has("late") {
			go func() { failed(s.bindAndServe(o)) }()
			continue
		}
		var files []*os.File
		if done := make(chan struct{}); o.options.Has("netns") {
			go func() { defer close(done); files, err = o.bind() }() // on a thread of its own
			<-done
		} else {
			files, err = o.bind()
		}
		if !failed(err) {
			starts = append(starts, func() error { return s.serveOwn(o, files) })
		}
	}
	for _, start := range starts {
		if err := start(); err != nil {
			fatal("%v", err)
		}
	}
}

// described is what the kernel says of a socket: "socket:[7] inet nonblock cloexec".
func described(file *os.File) (text string) {
	raw, err := file.SyscallConn()
	if err != nil {
		return err.Error()
	}
	_ = raw.Control(func(fd uintptr) {
		text, _ = os.Readlink("/proc/self/fd/" + strconv.Itoa(int(fd)))
		text += " " + domain(int(fd))
		if flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0); err == nil && flags&unix.O_NONBLOCK != 0 {
			text += " nonblock"
		}
		if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC != 0 {
			text += " cloexec"
		}
		if protocol, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL); err == nil && protocol == unix.IPPROTO_MPTCP {
			text += " mptcp"
		}
	})
	return text
}

// domain is the address family of a socket.
func domain(fd int) string {
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	switch {
	case err != nil:
		return err.Error()
	case family == unix.AF_INET:
		return "inet"
	case family == unix.AF_INET6:
		return "inet6"
	}
	return strconv.Itoa(family)
}
