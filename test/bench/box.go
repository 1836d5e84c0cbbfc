package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/test/e2e/ns"
	"golang.org/x/sys/unix"
)

// box is a running program: PID 1 of namespaces of its own, where allowed.
type box struct {
	*ns.Container
	begin int64    // when it was executed, see now
	out   *os.File // its stdout
}

// patience is for anything that a program should do at once.
const patience = time.Minute

var errSilent = errors.New("nothing came within a minute")

// now is the time as helper writes it, in nanoseconds.
func now() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail for this clock
	return t.Nano()
}

// start runs argv. The helper stands between the namespaces and the program, to
// note when that is executed: making namespaces takes longer than any init.
func (b *bench) start(env []string, argv ...string) (*box, error) {
	return b.startTo(os.Stderr, env, argv...)
}

// startTo has the program's stderr elsewhere.
func (b *bench) startTo(stderr *os.File, env []string, argv ...string) (*box, error) {
	stamp, stampEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stamp.Close()
	out, outEnd, err := os.Pipe()
	if err != nil {
		stampEnd.Close()
		return nil, err
	}
	c, err := ns.Start(ns.Config{
		Path: b.helper, Args: append([]string{"stamp"}, argv...), Env: append([]string{"PATH=" + os.Getenv("PATH")}, env...),
		Namespaces: b.refused == nil, Stdout: outEnd, Stderr: stderr, Files: []*os.File{stampEnd},
	})
	stampEnd.Close()
	outEnd.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	x := &box{Container: c, out: out}
	if x.begin, err = readTime(stamp); err != nil {
		x.kill()
		return nil, fmt.Errorf("cannot start %s: %w", argv[0], err)
	}
	return x, nil
}

// kill ends everything in the box. Without namespaces the children outlive
// their init, unless it hands TERM on.
func (x *box) kill() {
	_ = x.Signal(syscall.SIGTERM)
	select {
	case <-x.Done():
	case <-time.After(time.Second):
	}
	x.Kill()
	x.out.Close()
}

// wait waits for the end of the program.
func (x *box) wait() error {
	select {
	case <-x.Done():
	case <-time.After(patience):
		x.kill()
		return errSilent
	}
	x.out.Close()
	if s := x.Status(); !s.Exited() || s.ExitStatus() != 0 {
		return fmt.Errorf("it ended with status %#x", uint32(s))
	}
	return nil
}

// readTime reads a time that helper has written.
func readTime(f *os.File) (int64, error) {
	var data [8]byte
	_ = f.SetReadDeadline(time.Now().Add(patience)) // a pipe can
	_, err := io.ReadFull(f, data[:])
	return int64(binary.LittleEndian.Uint64(data[:])), err
}

// pause lets things come to rest.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// opened tells when a file is opened, which is how an exec of it begins.
type opened struct{ file *os.File }

func watchOpen(path string) (*opened, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_OPEN); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &opened{os.NewFile(uintptr(fd), "inotify")}, nil
}

// next returns the time of the next exec; repeated events are one.
func (o *opened) next() (int64, error) {
	var data [4096]byte
	_ = o.file.SetReadDeadline(time.Now().Add(patience))
	_, err := o.file.Read(data[:])
	return now(), err
}

func (o *opened) close() { o.file.Close() }
