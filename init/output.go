package pid1

import (
	"bytes"
	"os"
	"syscall"
	"time"
)

// outputMax is how many bytes at the end of a hook's output are looked at.
const outputMax = 64 << 10

// output is the end of what a hook writes. It owns both ends of a pipe.
type output struct {
	read  *os.File
	write int // the hook's end
	done  chan struct{}
	data  []byte // the reader's until done
}

// newOutput makes the pipe and reads from it, however much comes.
func newOutput() (*output, error) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		return nil, err
	}
	// For the poller; on a new pipe it cannot fail.
	_ = syscall.SetNonblock(fds[0], true)
	o := &output{read: os.NewFile(uintptr(fds[0]), "hook"), write: fds[1], done: make(chan struct{})}
	go func() {
		defer close(o.done)
		buf := make([]byte, 4<<10)
		for {
			n, err := o.read.Read(buf)
			o.add(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	return o, nil
}

func (o *output) add(b []byte) {
	o.data = append(o.data, b...)
	if over := len(o.data) - outputMax; over > outputMax {
		o.data = append(o.data[:0], o.data[over:]...)
	}
}

// lastLine is called once, when the hook has ended, and closes the pipe. What the
// hook wrote is in there by now: nobody waits for others who still hold its end,
// as a daemon does that it has started.
func (o *output) lastLine() string {
	syscall.Close(o.write)
	_ = o.read.SetReadDeadline(time.Unix(1, 0))
	<-o.done
	if raw, err := o.read.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			buf := make([]byte, 4<<10)
			for range 256 { // 1 MiB: the largest pipe; a daemon may go on writing
				n, err := syscall.Read(int(fd), buf)
				if n > 0 {
					o.add(buf[:n])
				} else if err != syscall.EINTR {
					return
				}
			}
		})
	}
	o.read.Close()
	text := bytes.TrimSpace(o.data)
	return string(bytes.TrimSpace(text[bytes.LastIndexByte(text, '\n')+1:]))
}
