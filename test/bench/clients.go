package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// count is what clients have done so far, as web load writes it.
type count struct {
	Requests int           `json:"requests"`
	Failed   int           `json:"failed"`
	Refused  int           `json:"refused"`
	Reset    int           `json:"reset"`
	Cut      int           `json:"cut"`
	Timeout  int           `json:"timeout"`
	Slowest  time.Duration `json:"slowest_ns"`
	Running  time.Duration `json:"running_ns"`
	Errors   []string      `json:"errors"`
	Trace    []request     `json:"trace"`
}

// request is one of a trace, as web trace writes it.
type request struct {
	Began  time.Duration `json:"b"`
	Took   time.Duration `json:"t"`
	Failed bool          `json:"f"`
}

// since is what was added to an earlier count.
func (c count) since(before count) count {
	c.Requests -= before.Requests
	c.Failed -= before.Failed
	c.Running -= before.Running
	return c
}

// clients is web load in the network of a box. Its owner calls close.
type clients struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// address is where every server is reached: each has a network of its own.
const (
	address = "127.0.0.1:" + port
	port    = "18080"
)

// enter starts a mode of web in the network of a site.
func (s *site) enter(args ...string) (*clients, error) {
	c := s.Command(context.Background(), []string{"PATH=" + os.Getenv("PATH")}, append([]string{s.bench.web}, args...)...)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	return &clients{c, in, bufio.NewReader(out)}, nil
}

// order is go, stop or count.
func (c *clients) order(order string) (count, error) {
	var now count
	if _, err := io.WriteString(c.in, order+"\n"); err != nil {
		return now, err
	}
	line, err := c.line()
	if err != nil {
		return now, fmt.Errorf("the clients did not answer: %w", err)
	}
	return now, json.Unmarshal(line, &now)
}

// line waits for a line. A stop takes as long as the slowest answer.
func (c *clients) line() ([]byte, error) {
	type answer struct {
		line []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		line, err := c.out.ReadBytes('\n')
		got <- answer{line, err}
	}()
	select {
	case a := <-got:
		return a.line, a.err
	case <-time.After(2 * patience):
		return nil, errSilent
	}
}

// close lets them end, and ends them.
func (c *clients) close() {
	c.in.Close()
	done := make(chan error, 1)
	go func() { done <- c.cmd.Wait() }()
	select {
	case err := <-done:
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			fmt.Fprintln(os.Stderr, "bench: the clients:", err)
		}
	case <-time.After(patience):
		_ = c.cmd.Process.Kill()
		<-done
	}
}
