package main

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// nginx runs nginx as its child, in front of a server on a Unix socket that
// nobody swaps: nginx itself has nothing that takes 5 ms. A HUP goes to nginx,
// which replaces its workers.
func nginx(path, conf, socket string) error {
	work, err := time.ParseDuration(os.Getenv(envWork))
	if err != nil {
		return err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- http.Serve(l, worker(work)) }()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM)
	c := exec.Command(path, "-c", conf)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		return err
	}
	go func() { failed <- c.Wait() }()
	for {
		select {
		case err := <-failed:
			return err
		case sig := <-signals:
			if err := c.Process.Signal(sig); err != nil {
				return err
			}
		}
	}
}
