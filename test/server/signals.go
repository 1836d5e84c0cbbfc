package main

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// watchSignals reports everything that can be caught, except the Go runtime's
// own signals and what every process gets by itself.
func watchSignals() <-chan os.Signal {
	ch := make(chan os.Signal, 256)
	var all []os.Signal
	for n := 1; n <= 64; n++ {
		switch sig := syscall.Signal(n); sig {
		case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGPIPE, syscall.SIGURG, syscall.SIGPROF,
			syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGSYS:
		default:
			all = append(all, sig)
		}
	}
	signal.Notify(ch, all...)
	return ch
}

// signalName is "TERM", or "36" for a real-time signal.
func signalName(sig os.Signal) string {
	n := sig.(syscall.Signal)
	if name := unix.SignalName(n); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	return strconv.Itoa(int(n))
}

// killSelf dies by the named signal.
func killSelf(name string) {
	sig := unix.SignalNum("SIG" + name)
	signal.Reset(sig)
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		fatal("cannot kill myself: %v", err)
	}
	select {}
}
