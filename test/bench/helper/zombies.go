package main

import (
	"encoding/binary"
	"io"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const nursing = "nursing"

// pollEvery is how often zombies asks whether one is still there.
const pollEvery = 200_000 // ns

// zombies starts a process that has n dead children and then ends, so that all
// of them become PID 1's at once, and waits until the last one is reaped. It
// writes the time of that end and the time of the last reaping.
func zombies(count string) error {
	n, err := number(count)
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"helper", nursing, count}, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, w.Fd(), 2}})
	if err != nil {
		return err
	}
	w.Close()
	// 8000 pids fit into a pipe: the nurse never waits for us.
	data, err := io.ReadAll(r)
	if err == nil && len(data) != 4*n+8 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	begin := int64(binary.LittleEndian.Uint64(data[4*n:]))
	for i := 0; i < n; {
		if unix.Kill(int(binary.LittleEndian.Uint32(data[4*i:])), 0) == unix.ESRCH {
			i++
			continue
		}
		_, _ = unix.Ppoll(nil, &unix.Timespec{Nsec: pollEvery}, nil)
	}
	end := now()
	if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
		return err
	}
	if err := put(1, begin); err != nil {
		return err
	}
	return put(1, end)
}

// nurse makes the zombies, writes their pids and its own last moment, and ends.
func nurse(count string) error {
	n, err := number(count)
	if err != nil {
		return err
	}
	pids := make([]byte, 0, 4*n+8)
	for range n {
		pid, err := stillborn()
		if err != nil {
			return &os.SyscallError{Syscall: "clone of a zombie after " + strconv.Itoa(len(pids)/4), Err: err}
		}
		pids = binary.LittleEndian.AppendUint32(pids, uint32(pid))
	}
	for i := range n {
		pid := int(binary.LittleEndian.Uint32(pids[4*i:]))
		// NOWAIT: dead, and still a zombie.
		for {
			err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
			if err == nil {
				break
			}
			if err != unix.EINTR {
				return err
			}
		}
	}
	pids = binary.LittleEndian.AppendUint64(pids, uint64(now()))
	if _, err := unix.Write(1, pids); err != nil {
		return err
	}
	unix.Exit(0)
	return nil
}

// stillborn makes a child that does nothing but end. No Go code may run in the
// child: it has one thread of a runtime that needs several.
//
//go:noinline
func stillborn() (int, error) {
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if pid == 0 {
		for {
			syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	return int(pid), nil
}
