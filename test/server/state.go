package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// state is what this process sees of itself. The field names are read by the
// tests.
type state struct {
	Pid, PPid, Pgrp, Sid int
	Dir                  string
	Args, Env            []string
	SigBlk, SigIgn       string
	Fds                  map[int]string // open when main began: number to target
}

// firstFds is taken before the server opens anything of its own.
var firstFds = openFds()

func openFds() map[int]string {
	all := map[int]string{}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return all
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// What the Go runtime and this very ReadDir opened is close-on-exec;
		// what came from the parent cannot be.
		if flags, err := fcntl(fd, syscall.F_GETFD); err != nil || flags&syscall.FD_CLOEXEC != 0 {
			continue
		}
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil {
			all[fd] = target
		}
	}
	return all
}

func stateJSON() []byte {
	s := state{Pid: os.Getpid(), PPid: os.Getppid(), Pgrp: syscall.Getpgrp(), Args: os.Args, Env: os.Environ(), Fds: firstFds}
	s.Sid, _ = unix.Getsid(0)
	s.Dir, _ = os.Getwd()
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "SigBlk":
			s.SigBlk = strings.TrimSpace(value)
		case "SigIgn":
			s.SigIgn = strings.TrimSpace(value)
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		fatal("%v", err)
	}
	return append(text, '\n')
}

func printState() { os.Stdout.Write(stateJSON()) }
