package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// haproxy stands before containers, as a process on the host. Its owner calls close.
type haproxy struct {
	cmd    *exec.Cmd
	socket string // of its runtime API
	active int    // which of its two servers gets the traffic
}

// haproxyConf has two places for servers, which get their addresses at run time: the
// socket of the runtime API and the address are to be filled in.
const haproxyConf = `global
	stats socket %s level admin
	maxconn 4000
defaults
	mode http
	option redispatch
	retries 3
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend front
	bind %s
	default_backend behind
backend behind
	server s0 127.0.0.1:1 disabled
	server s1 127.0.0.1:1 disabled
`

func (b *bench) startHaproxy(address string) (*haproxy, error) {
	program, err := find("haproxy")
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(b.dir, "haproxy-")
	if err != nil {
		return nil, err
	}
	h := &haproxy{socket: filepath.Join(folder, "api"), active: 1}
	conf := filepath.Join(folder, "conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, haproxyConf, h.socket, address), 0o644); err != nil {
		return nil, err
	}
	h.cmd = exec.Command(program, "-q", "-db", "-f", conf)
	h.cmd.Stderr = os.Stderr
	return h, h.cmd.Start()
}

func (h *haproxy) close() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

// lead has the container at address get the traffic, and returns when the one before
// has no session any more. This is the most careful way: nothing waits for a check.
func (h *haproxy) lead(ctx context.Context, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	from, to := h.active, 1-h.active
	for _, order := range []string{
		fmt.Sprintf("set server behind/s%d addr %s port %s", to, host, port),
		fmt.Sprintf("set server behind/s%d state ready", to),
		fmt.Sprintf("set server behind/s%d state drain", from),
	} {
		if _, err := h.order(ctx, order); err != nil {
			return err
		}
	}
	h.active = to
	return until(ctx, "the old server's sessions end", func() bool {
		stat, err := h.order(ctx, "show stat behind 4 -1")
		if err != nil {
			return false
		}
		for line := range strings.Lines(stat) {
			if cells := strings.Split(line, ","); len(cells) > 4 && cells[1] == fmt.Sprintf("s%d", from) {
				return cells[4] == "0"
			}
		}
		return false
	})
}

// order is one of the runtime API's. It may be too early.
func (h *haproxy) order(ctx context.Context, order string) (answer string, err error) {
	ended := until(ctx, "haproxy answers", func() bool {
		var c net.Conn
		if c, err = net.DialTimeout("unix", h.socket, patience); err != nil {
			return false
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience)) // a socket can
		if _, err = io.WriteString(c, order+"\n"); err != nil {
			return false
		}
		var text []byte
		text, err = io.ReadAll(c)
		answer = string(text)
		return err == nil
	})
	return answer, errors.Join(ended, err)
}

// until polls.
func until(ctx context.Context, what string, done func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			return fmt.Errorf("waiting until %s: %w", what, errSilent)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
