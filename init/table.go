package pid1

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/file"
	"github.com/swapinit/swapinit/internal/folder"
	"golang.org/x/sys/unix"
)

// process is one line of the process table, proc_pid_stat(5).
type process struct {
	life
	ppid      int
	pgrp, sid int
	state     byte
	threads   int
}

// life names a process for ever, which its number alone does not.
type life struct {
	pid   int
	start uint64 // clock ticks since boot
}

// everybody is kill(2)'s -1, for PID 1 where the process table cannot be read.
const everybody = -1

// nobodyElse reports whether PID 1 is the last of its pid namespace, zombies and strangers
// (docker exec) included. It is one system call at one moment of the kernel's own table,
// so it costs less than /proc, and proves more. Any other process cannot ask so.
func nobodyElse() bool { return os.Getpid() == 1 && unix.Kill(everybody, 0) == unix.ESRCH }

// snapshot reads the process table of our pid namespace, without ourselves.
// Processes come and go meanwhile; each line by itself is right.
func snapshot() []process {
	if nobodyElse() || !procIsOurs() {
		return nil
	}
	names, _ := entries("/proc")
	own := os.Getpid()
	table := make([]process, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid != own {
			if p, ok := readStat(pid); ok {
				table = append(table, p)
			}
		}
	}
	return table
}

// entries lists the names in a folder, as far as they can be read.
func entries(path string) (names []string, err error) {
	err = folder.Each(path, func(name string) bool { names = append(names, name); return true })
	return names, err
}

// procIsOurs is false where /proc is not mounted, or is that of another pid namespace
// (unshare -pf without --mount-proc): its numbers mean other processes then.
func procIsOurs() bool {
	self, err := os.Readlink("/proc/self")
	return err == nil && self == itoa(os.Getpid())
}

// readProcess reads one line of the table.
func readProcess(pid int) (process, bool) {
	if !procIsOurs() {
		return process{}, false
	}
	return readStat(pid)
}

func readStat(pid int) (process, bool) {
	data, err := file.Read("/proc/" + itoa(pid) + "/stat")
	if err != nil {
		return process{}, false
	}
	return parseStat(pid, data)
}

// kernelThread is PF_KTHREAD of linux/sched.h. Such threads are there where we are the
// init of a machine, get no signals, and never end.
const kernelThread = 0x00200000

// parseStat reads "pid (comm) state ppid pgrp session tty tpgid flags ...". comm may hold
// anything, parentheses and newlines included, so it ends at the last ")". A thread of the
// kernel is no process.
func parseStat(pid int, data []byte) (process, bool) {
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return process{}, false
	}
	f := strings.Fields(string(data[end+1:]))
	if len(f) < 20 || len(f[0]) != 1 {
		return process{}, false
	}
	var n [6]int
	for k, field := range [...]int{1, 2, 3, 17, 19, 6} {
		var err error
		if n[k], err = strconv.Atoi(f[field]); err != nil {
			return process{}, false
		}
	}
	return process{life: life{pid, uint64(n[4])}, ppid: n[0], pgrp: n[1], sid: n[2], state: f[0][0], threads: n[3]}, n[4] >= 0 && n[5]&kernelThread == 0
}

// dead reports whether nothing of the process runs any more. A process whose
// first thread has ended is a zombie with threads: alive.
func (p process) dead() bool { return (p.state == 'Z' || p.state == 'X') && p.threads <= 1 }

// signal sends two signals, of which the second may be 0 for none, to exactly
// this process. The pid is pinned by a pidfd before the start time is compared,
// so a later bearer of the number is never hit; where the kernel has none only the
// moment between the two is left. An error means that it is gone, or not ours to
// signal: nothing can be done about either.
func (p process) signal(first, second syscall.Signal) {
	if p.pid == everybody {
		_ = unix.Kill(everybody, first)
		_ = unix.Kill(everybody, second)
		return
	}
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err == nil {
		defer unix.Close(fd)
		err = unix.PidfdSendSignal(fd, 0, nil, 0)
	}
	if err == unix.ESRCH || p.gone() {
		return
	}
	for _, sig := range [...]syscall.Signal{first, second} {
		if err == nil {
			_ = unix.PidfdSendSignal(fd, sig, nil, 0)
		} else {
			_ = unix.Kill(p.pid, sig)
		}
	}
}

// gone reports whether this process is not in the table any more.
func (p process) gone() bool {
	now, ok := readProcess(p.pid)
	return !ok || now.life != p.life
}
