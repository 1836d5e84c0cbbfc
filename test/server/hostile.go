package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hostile does to whoever supervises bind what no server does: "flood 1000", the
// number is how often.
func hostile(arg string) error {
	what, count, _ := strings.Cut(arg, " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	acts := map[string]func(int) error{"flood": floodBind, "options": floodOptions, "race": raceAddress, "fork": forkBinders, "die": dieWhileBinding, "exec": execWhileBound}
	act := acts[what]
	if act == nil {
		return fmt.Errorf("unknown %q", what)
	}
	return act(n)
}

// rawBind is bind(2) with whatever address and length.
func rawBind(fd int, at unsafe.Pointer, length uintptr) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(at), length)
	return errno
}

// inet4 is a struct sockaddr_in of a local port.
func inet4(port uint16) unix.RawSockaddrInet4 {
	return unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port<<8 | port>>8, Addr: [4]byte{127, 0, 0, 1}}
}

// The port of an endpoint, and one that is none.
const (
	endpointPort = 8080
	otherPort    = 9099
)

// floodBind binds in four threads, well and badly.
func floodBind(n int) error {
	return inParallel(4, n, func(k int) error {
		kind := unix.SOCK_STREAM
		if k%5 == 0 {
			kind = unix.SOCK_DGRAM
		}
		fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		at := inet4(endpointPort)
		switch k % 8 {
		case 0:
			at = inet4(0)
		case 1:
			at.Family = unix.AF_INET6 // and too short for it
		case 2:
			rawBind(fd, nil, unix.SizeofSockaddrInet4)
		case 3:
			rawBind(fd, unsafe.Pointer(&at), 1<<20)
		case 4:
			rawBind(-1, unsafe.Pointer(&at), unix.SizeofSockaddrInet4)
		case 5:
			rawBind(0, unsafe.Pointer(&at), unix.SizeofSockaddrInet4) // no socket
		}
		rawBind(fd, unsafe.Pointer(&at), unix.SizeofSockaddrInet4)
		_ = unix.Listen(fd, k)
		return nil
	})
}

// floodOptions sets, on many sockets at a time, options that count before bind.
func floodOptions(n int) error {
	const alive = 300
	var open []int
	defer func() {
		for _, fd := range open {
			_ = unix.Close(fd)
		}
	}()
	for k := range n {
		if len(open) == alive {
			_ = unix.Close(open[0])
			open = open[1:]
		}
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		open = append(open, fd)
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, k&1)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, k)
		_ = unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, strings.Repeat("x", k%5000))
		_, _, _ = unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1, 1<<30, 0) // nothing is there
	}
	return nil
}

// raceAddress changes the address while it is read. Wherever a socket ends up, it is
// at one of the two addresses.
func raceAddress(n int) error {
	at := inet4(otherPort)
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		port := (*uint32)(unsafe.Pointer(&at)) // family and port
		one, other := inet4(endpointPort), inet4(otherPort)
		for {
			select {
			case <-stop:
				return
			default:
				atomic.StoreUint32(port, *(*uint32)(unsafe.Pointer(&one)))
				atomic.StoreUint32(port, *(*uint32)(unsafe.Pointer(&other)))
			}
		}
	})
	defer func() { close(stop); writer.Wait() }()
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		errno := rawBind(fd, unsafe.Pointer(&at), unix.SizeofSockaddrInet4)
		name, err := unix.Getsockname(fd)
		_ = unix.Close(fd)
		if bound, ok := name.(*unix.SockaddrInet4); errno == 0 && (err != nil || !ok || bound.Port != endpointPort && bound.Port != otherPort) {
			return fmt.Errorf("bound to %v (%v)", name, err)
		}
	}
	return nil
}

// binder is the main of what the acts below start: "server binder once" binds an
// endpoint's address, "server binder loop" does so until it is killed, and says when it
// begins, "server binder exec N" becomes itself N times with the socket open.
func binder(args []string) {
	bind := func(kind int) int {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|kind, 0)
		if err != nil {
			fatal("%v", err)
		}
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		at := inet4(endpointPort)
		if errno := rawBind(fd, unsafe.Pointer(&at), unix.SizeofSockaddrInet4); errno == 0 {
			_ = unix.Listen(fd, 1)
		}
		return fd
	}
	switch args[0] {
	case "loop":
		os.Stdout.WriteString(".")
		for {
			_ = unix.Close(bind(unix.SOCK_CLOEXEC))
		}
	case "exec":
		left, _ := strconv.Atoi(args[1])
		if bind(0); left > 0 {
			fatal("%v", syscall.Exec("/proc/self/exe", []string{"server", "binder", "exec", strconv.Itoa(left - 1)}, os.Environ()))
		}
	default:
		bind(unix.SOCK_CLOEXEC)
	}
}

// forkBinders starts n children that all bind an endpoint's address, and waits for them.
func forkBinders(n int) error {
	return inParallel(20, n, func(int) error { return exec.Command("/proc/self/exe", "binder", "once").Run() })
}

// dieWhileBinding kills children that do nothing but bind.
func dieWhileBinding(n int) error {
	return inParallel(2, n, func(int) error {
		c := exec.Command("/proc/self/exe", "binder", "loop")
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			return err
		}
		_, err = io.ReadFull(out, make([]byte, 1))
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
		return err
	})
}

// execWhileBound starts children that exec themselves with bound sockets.
func execWhileBound(n int) error {
	return inParallel(4, n, func(int) error { return exec.Command("/proc/self/exe", "binder", "exec", "5").Run() })
}

// inParallel calls act n times, in some goroutines, and returns all errors.
func inParallel(goroutines, n int, act func(k int) error) error {
	var next atomic.Int64
	var wait sync.WaitGroup
	failed := make([]error, goroutines)
	for g := range goroutines {
		wait.Go(func() {
			for k := next.Add(1); k <= int64(n) && failed[g] == nil; k = next.Add(1) {
				failed[g] = act(int(k))
			}
		})
	}
	wait.Wait()
	return errors.Join(failed...)
}

// program has the kernel send all connections of a socket's group to its first socket, or
// to any.
func program(fd int, act string) error {
	if act == "detach" {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0)
	}
	first := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{Len: 1, Filter: &first})
}
