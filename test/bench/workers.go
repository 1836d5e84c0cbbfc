package main

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// reload has nginx replace its workers, and waits until the old ones are gone.
func (s *site) reload() error {
	master, old, err := s.workers()
	if err != nil {
		return err
	}
	var gone []unix.PollFd
	defer func() {
		for _, p := range gone {
			unix.Close(int(p.Fd))
		}
	}()
	for _, pid := range old {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return err
		}
		gone = append(gone, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	if err := syscall.Kill(master, syscall.SIGHUP); err != nil {
		return err
	}
	late := time.Now().Add(patience)
	for i := range gone {
		for gone[i].Revents == 0 {
			left := time.Until(late)
			if left <= 0 {
				return errors.New("the old workers stay")
			}
			if _, err := unix.Poll(gone[i:i+1], int(left/time.Millisecond)+1); err != nil && err != unix.EINTR {
				return err
			}
		}
	}
	return nil
}

// workers waits for nginx, and finds its master and its workers by who is
// whose child.
func (s *site) workers() (master int, workers []int, err error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(patience); time.Now().Before(late); <-tick.C {
		master, workers = 0, nil
		all := s.Procs()
		for _, p := range all {
			if p.Name == "nginx" && p.PPid == s.Pid() {
				master = p.Host
			}
		}
		for _, p := range all {
			if p.Name == "nginx" && p.PPid == master {
				workers = append(workers, p.Host)
			}
		}
		if len(workers) > 0 {
			return master, workers, nil
		}
	}
	return 0, nil, fmt.Errorf("nginx has no workers: %w", errSilent)
}
