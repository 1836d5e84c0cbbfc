package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// reuseport is the usual way to replace a server that opens its own socket with
// SO_REUSEPORT: on HUP start the new one, wait until it is ready, send the old
// one the signal, wait for its end. TERM ends both.
func reuseport(name string, argv []string) error {
	sig := unix.SignalNum("SIG" + name)
	if sig == 0 {
		return fmt.Errorf("%q is no signal", name)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM)
	old, err := own(argv)
	if err != nil {
		return err
	}
	for got := range signals {
		if got == syscall.SIGTERM {
			return old.Process.Kill()
		}
		successor, err := own(argv)
		if err != nil {
			return err
		}
		if err := old.Process.Signal(sig); err != nil {
			return err
		}
		var ended *exec.ExitError
		if err := old.Wait(); err != nil && !errors.As(err, &ended) {
			return err
		}
		old = successor
	}
	return nil
}

// own starts a server with a socket of its own and waits until it is ready.
func own(argv []string) (*exec.Cmd, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	c := exec.Command(argv[0], argv[1:]...)
	c.Env = append(os.Environ(), envOwn+"=1", envReady+"=3")
	c.Stderr = os.Stderr
	c.ExtraFiles = []*os.File{w}
	err = c.Start()
	w.Close()
	if err != nil {
		return nil, err
	}
	if _, err := r.Read(make([]byte, 1)); err != nil {
		return nil, errors.Join(fmt.Errorf("%s was never ready", argv[0]), c.Wait())
	}
	return c, nil
}
