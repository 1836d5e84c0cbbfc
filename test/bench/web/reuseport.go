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
	return supervise(name, argv, func(old *exec.Cmd, sig syscall.Signal) (*exec.Cmd, error) {
		successor, err := own(argv)
		if err != nil {
			return nil, err
		}
		return successor, stop(old, sig)
	})
}

// restart is what is done without any of this: on HUP end the server, then start it again.
func restart(name string, argv []string) error {
	return supervise(name, argv, func(old *exec.Cmd, sig syscall.Signal) (*exec.Cmd, error) {
		if err := stop(old, sig); err != nil {
			return nil, err
		}
		return own(argv)
	})
}

// supervise runs a server, and has another one in its place whenever there is a HUP.
func supervise(name string, argv []string, replace func(*exec.Cmd, syscall.Signal) (*exec.Cmd, error)) error {
	sig := unix.SignalNum("SIG" + name)
	if sig == 0 {
		return fmt.Errorf("%q is no signal", name)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM)
	server, err := own(argv)
	if err != nil {
		return err
	}
	for got := range signals {
		if got == syscall.SIGTERM {
			return server.Process.Kill()
		}
		if server, err = replace(server, sig); err != nil {
			return err
		}
	}
	return nil
}

// stop sends the signal and waits for the end.
func stop(server *exec.Cmd, sig syscall.Signal) error {
	if err := server.Process.Signal(sig); err != nil {
		return err
	}
	var ended *exec.ExitError
	if err := server.Wait(); err != nil && !errors.As(err, &ended) {
		return err
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
