package ready

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func newPipe(t *testing.T) (*Pipe, chan PipeEvent) {
	t.Helper()
	p, err := NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	events := make(chan PipeEvent, 8)
	p.Watch(func(e PipeEvent) { events <- e })
	return p, events
}

func write(t *testing.T, p *Pipe, s string) {
	t.Helper()
	for b := []byte(s); len(b) > 0; {
		n, err := unix.Write(int(p.ChildEnd()), b)
		if err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
}

func TestPipeReady(t *testing.T) {
	for name, pieces := range map[string][]string{
		"bare newline": {"\n"},
		"line":         {"ready\n"},
		"pieces":       {"re", "a", "dy", "\n"},
		"NUL bytes":    {"\x00\x00", "\x00\n"},
		"extra bytes":  {"ready\nand more"},
		"long line":    {strings.Repeat("x", lineMax-1), "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p, events := newPipe(t)
			for _, piece := range pieces {
				write(t, p, piece)
			}
			if e := receive(t, events, "event"); e != Ready {
				t.Errorf("event %v", e)
			}
			p.CloseChildEnd()
			receive(t, p.done, "end of the reader")
			if len(events) != 0 {
				t.Errorf("a second event: %v", <-events)
			}
		})
	}
}

func TestPipeNever(t *testing.T) {
	for name, text := range map[string]string{
		"empty":       "",
		"no newline":  "ready",
		"NUL bytes":   "\x00\x00",
		"long line":   strings.Repeat("x", lineMax),
		"just longer": strings.Repeat("x", lineMax) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			p, events := newPipe(t)
			write(t, p, text)
			if len(text) < lineMax {
				p.CloseChildEnd()
			}
			if e := receive(t, events, "event"); e != Never {
				t.Errorf("event %v", e)
			}
		})
	}
}

// Nothing is said before the line is complete or the last writer is gone.
func TestPipeWaits(t *testing.T) {
	p, events := newPipe(t)
	dup, err := unix.FcntlInt(p.ChildEnd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	write(t, p, "half a li")
	p.CloseChildEnd()
	// The reader has taken the bytes, so it has judged them.
	eventually(t, "the reader empties the pipe", func() bool {
		n, err := unix.IoctlGetInt(dup, unix.TIOCINQ)
		return err == nil && n == 0
	})
	if len(events) != 0 {
		t.Errorf("event %v with a writer left", <-events)
	}
	unix.Close(dup)
	if e := receive(t, events, "event"); e != Never {
		t.Errorf("event %v", e)
	}
}

// A child that chatters on after it was ready gets no SIGPIPE, and nobody
// reads what it writes.
func TestPipeStaysOpen(t *testing.T) {
	p, events := newPipe(t)
	write(t, p, "\n")
	receive(t, events, "event")
	receive(t, p.done, "end of the reader")
	write(t, p, "more\n")
	if n, err := unix.IoctlGetInt(int(p.ChildEnd()), unix.TIOCINQ); err != nil || n != 5 {
		t.Errorf("%d bytes in the pipe, %v; want 5", n, err)
	}
	p.read.Close()
	if _, err := unix.Write(int(p.ChildEnd()), []byte("x")); err != unix.EPIPE {
		t.Errorf("write after close of the read end: %v; the check above proves nothing", err)
	}
}

func TestPipeFlags(t *testing.T) {
	p, _ := newPipe(t)
	var ends [2]int
	ends[0] = int(p.ChildEnd())
	raw, err := p.read.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err = raw.Control(func(fd uintptr) { ends[1] = int(fd) }); err != nil {
		t.Fatal(err)
	}
	for i, fd := range ends {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("end %d is not close-on-exec: %x, %v", i, flags, err)
		}
	}
	if flags, err := unix.FcntlInt(uintptr(ends[0]), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("the child's end does not block: %x, %v", flags, err)
	}
}

func TestPipeCloseEndsReader(t *testing.T) {
	// The reader can be anywhere in its work when Close comes.
	for range 1000 {
		p, events := newPipe(t)
		runtime.Gosched()
		p.Close()
		p.Close()
		receive(t, p.done, "end of the reader")
		if len(events) != 0 {
			t.Fatalf("event %v after Close", <-events)
		}
	}
}

func TestPipeShell(t *testing.T) {
	p, events := newPipe(t)
	cmd := exec.Command("sh", "-c", `printf rea >&3; printf 'dy\n' >&3; exec 3>&-`)
	end, err := unix.FcntlInt(p.ChildEnd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(end), "child end")
	cmd.ExtraFiles = []*os.File{file}
	err = cmd.Run()
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	p.CloseChildEnd()
	if e := receive(t, events, "event"); e != Ready {
		t.Errorf("event %v", e)
	}
}

// pieces is a reader that gives data in pieces of the given sizes.
type pieces struct {
	data  []byte
	sizes []byte
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := min(len(b), len(p.data))
	if len(p.sizes) > 0 {
		n = min(n, int(p.sizes[0])+1)
		p.sizes = p.sizes[1:]
	}
	copy(b, p.data[:n])
	p.data = p.data[n:]
	return n, nil
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte("ready\n"), []byte{1, 0, 2}, uint32(0))
	f.Add([]byte("ready"), []byte{}, uint32(lineMax-5))
	f.Add([]byte("\n"), []byte{255}, uint32(lineMax-1))
	f.Add([]byte("\n"), []byte{255}, uint32(lineMax))
	f.Fuzz(func(t *testing.T, data, sizes []byte, padding uint32) {
		data = append(bytes.Repeat([]byte{0}, int(padding%(2*lineMax))), data...)
		want := Never
		if i := bytes.IndexByte(data, '\n'); i >= 0 && i < lineMax {
			want = Ready
		}
		if got, err := readLine(&pieces{data, sizes}); got != want || err != nil {
			t.Errorf("%d bytes: %v, %v; want %v", len(data), got, err, want)
		}
	})
}

func TestReadLineError(t *testing.T) {
	failure := errors.New("closed")
	if e, err := readLine(io.MultiReader(strings.NewReader("x"), failing{failure})); !errors.Is(err, failure) || e != 0 {
		t.Errorf("got %v, %v", e, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
