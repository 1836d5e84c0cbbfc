// Command helper is what the benchmarks run in a container: it stamps times and
// plays the child. It is small and touches little memory, because it is started
// and forked thousands of times.
//
//	helper stamp program arg...   writes the time to fd 3 and becomes the program
//	helper sigwait                writes a time to stdout, then one for each USR1
//	helper zombies N              makes N zombies for PID 1, writes how long they stayed
//	helper server                 a server without sockets of its own: see server
//
// A time is 8 bytes, little endian: nanoseconds of CLOCK_MONOTONIC, which all
// processes share.
package main

import (
	"encoding/binary"
	"errors"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	mode := ""
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	var err error
	switch {
	case mode == "stamp" && len(os.Args) > 2:
		err = stamp(os.Args[2:])
	case mode == "sigwait":
		err = sigwait()
	case mode == sigwaiting:
		err = sigwaited()
	case mode == "zombies" && len(os.Args) == 3:
		err = zombies(os.Args[2])
	case mode == nursing && len(os.Args) == 3:
		err = nurse(os.Args[2])
	case mode == "server":
		err = server()
	default:
		err = errors.New("unknown mode")
	}
	if err != nil {
		os.Stderr.WriteString("helper " + mode + ": " + err.Error() + "\n")
		os.Exit(99)
	}
}

// stamp writes the time of its own exec of program.
func stamp(argv []string) error {
	unix.CloseOnExec(3)
	if err := put(3, now()); err != nil {
		return err
	}
	return syscall.Exec(argv[0], argv, os.Environ())
}

func now() int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return t.Nano()
}

func put(fd int, t int64) error {
	_, err := unix.Write(fd, binary.LittleEndian.AppendUint64(nil, uint64(t)))
	return err
}

// number reads a count from the command line.
func number(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err == nil && (n < 1 || n > 1<<20) {
		err = errors.New("the count is out of range")
	}
	return n, err
}

// pointer is for raw system calls.
func pointer[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }
