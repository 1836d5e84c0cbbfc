package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"sync"

	"golang.org/x/sys/unix"
)

// logReader is the other end of a container's log, a pipe of a few kilobytes. It writes
// what comes into a file, and can stop reading.
type logReader struct {
	end *os.File // what the container writes to; the caller of newLog closes it

	mu    sync.Mutex
	bad   error
	pause chan struct{} // closed: go on
}

// newLog starts to read.
func newLog(name string) (*logReader, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	in, end, err := os.Pipe()
	if err != nil {
		file.Close()
		return nil, err
	}
	_, _ = unix.FcntlInt(end.Fd(), unix.F_SETPIPE_SZ, 4096) // the smaller the sooner it is full
	l := &logReader{end: end, pause: make(chan struct{})}
	close(l.pause)
	go func() { // it ends with the last process of the container
		defer in.Close()
		defer file.Close()
		for lines := bufio.NewReader(in); ; {
			l.mu.Lock()
			pause := l.pause
			l.mu.Unlock()
			<-pause
			line, err := lines.ReadBytes('\n')
			if len(line) > 0 {
				_, werr := file.Write(line)
				err = errors.Join(err, werr, l.read(line))
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					l.fail(err)
				}
				return
			}
		}
	}()
	return l, nil
}

// panics are the first lines of what the Go runtime prints at its end.
var panics = regexp.MustCompile(`^(panic:|fatal error:|unexpected fault|runtime: |SIG[A-Z]+: )`)

// read judges one line: swapinit's own are JSON.
func (l *logReader) read(line []byte) error {
	var said struct{ Level, Event, Message string }
	if err := json.Unmarshal(line, &said); err != nil {
		if panics.Match(line) {
			l.fail(fmt.Errorf("the log has %q", line))
		}
		return nil
	}
	if said.Level == "error" && !expected[said.Event] {
		l.fail(fmt.Errorf("the log has an error that is not expected: %q", line))
	}
	return nil
}

// expected are the events whose lines may have the level error: the failures that are
// made on purpose.
var expected = map[string]bool{"swap.failed": true, "start.failed": true}

func (l *logReader) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bad == nil {
		l.bad = err
	}
}

// wrong is the first line that should not be there.
func (l *logReader) wrong() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bad
}

// hold stops reading; the func that it returns goes on.
func (l *logReader) hold() func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	pause := make(chan struct{})
	l.pause = pause
	return func() { close(pause) }
}
