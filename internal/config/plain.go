package config

import (
	"slices"
	"strings"
	"syscall"
)

// engineNames are those by which an engine starts its init: dockerd as
// /sbin/docker-init, Podman as /run/podman-init.
var engineNames = [...]string{"docker-init", "podman-init"}

// Engine reports whether program is the path by which an engine starts its init.
func Engine(program string) bool {
	return slices.Contains(engineNames[:], program[strings.LastIndexByte(program, '/')+1:])
}

// help is what shows the help.
func (p *Parsers) help() string { return `"` + p.Program + ` help"` }

// notForwarded are the signals that docker-init (tini) leaves to the kernel, which drops
// them: it has no handler for them, and is PID 1. See signals_for_tini in its source.
var notForwarded = [...]syscall.Signal{syscall.SIGFPE, syscall.SIGILL, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGABRT,
	syscall.SIGTRAP, syscall.SIGSYS, syscall.SIGTTIN, syscall.SIGTTOU}

// plain makes s what every container of a host can have as its init: it does what
// docker-init does, and nothing speaks of swapinit. A setting in the environment is how a
// container asks for more.
func (s *Settings) plain(environ []string) {
	s.Plain = true
	s.SwapSignals, s.StopSignals, s.Control = nil, nil, "off" // so that all signals are forwarded
	for _, sig := range notForwarded {
		if _, ok := s.SignalMap[sig]; !ok {
			put(&s.SignalMap, sig, 0)
		}
	}
	for _, entry := range environ {
		if strings.HasPrefix(entry, "TINI_KILL_PROCESS_GROUP=") {
			s.KillGroup = true
		}
	}
}
