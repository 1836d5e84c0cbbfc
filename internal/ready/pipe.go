package ready

import (
	"bytes"
	"io"
	"os"

	"github.com/swapinit/swapinit/internal/text"
)

// PipeEvent is what a readiness pipe says, once.
type PipeEvent uint8

const (
	// Ready: a newline arrived.
	Ready PipeEvent = iota + 1
	// Never: every writer closed the pipe, or wrote 64 KiB, without a
	// newline. This source will not report any more.
	Never
)

// lineMax bounds the text before the newline, in bytes, the newline included.
const lineMax = 64 << 10

// Pipe is the readiness pipe of one generation: the child writes a line when
// it is ready. Pipe owns both ends; they are close-on-exec, and only a
// duplicate reaches the child.
type Pipe struct {
	read  *os.File
	write *os.File
	done  chan struct{}
}

// NewPipe makes the pipe. See pipe(7).
func NewPipe() (*Pipe, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, text.Errorf("cannot create readiness pipe: %w", err)
	}
	return &Pipe{read: read, write: write}, nil
}

// ChildEnd returns the fd to duplicate into the child. Pipe keeps owning it;
// it is valid until CloseChildEnd. It blocks (see os.File.Fd), as the child
// expects of a plain pipe.
func (p *Pipe) ChildEnd() uintptr { return p.write.Fd() }

// CloseChildEnd closes swapinit's copy of the child's end. Without it the end
// of the pipe would never be seen. Call it as soon as the child is forked.
func (p *Pipe) CloseChildEnd() { p.write.Close() }

// Watch starts the reader; call it once. report is called at most once, from
// the reader's goroutine, which ends then or at Close. After that nothing is
// read any more, yet the read end stays open until Close: a child that goes on
// writing must not die of SIGPIPE.
func (p *Pipe) Watch(report func(PipeEvent)) {
	p.done = make(chan struct{})
	go func() {
		defer close(p.done)
		if event, err := readLine(p.read); err == nil {
			report(event)
		}
	}()
}

// Close closes both ends and ends the reader. It may be called more than once.
func (p *Pipe) Close() {
	// In this order: closing the last writer first would tell the reader that
	// the child gave up.
	p.read.Close()
	p.write.Close()
}

// readLine reads until the outcome is known. It fails when the pipe was closed
// on our side.
func readLine(r io.Reader) (PipeEvent, error) {
	var buf [512]byte
	for left := lineMax; ; {
		n, err := r.Read(buf[:min(left, len(buf))])
		left -= n
		switch {
		case bytes.IndexByte(buf[:n], '\n') >= 0:
			return Ready, nil
		case err == io.EOF, err == nil && left == 0:
			return Never, nil
		case err != nil:
			return 0, err
		}
	}
}
