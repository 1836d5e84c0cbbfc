package pid1

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/config"
	"github.com/swapinit/swapinit/internal/text"
)

const (
	outputMax   = 64 << 10 // bytes at the end of a hook's output that are looked at
	hooksMax    = 16       // hooks after a swap that wait for the one that runs
	commandLine = "command="
)

// hooks runs the commands before and after a swap. Its fields are the loop's.
type hooks struct {
	set      *config.Settings
	run      func(*helper) error
	post     func(func())
	warn     func(event, message string, generation, pid int)
	stopping func() bool // the container stops: no more hooks

	waiting []*helper
	running bool // one of those after a swap
}

// before runs the hook before a swap to a generation, in the caller's goroutine,
// which is not the loop's. It returns the command that the hook named, nil if it
// named none.
func (h *hooks) before(generation int) ([]string, error) {
	const name = "the pre-swap hook"
	out, err := newOutput()
	if err != nil {
		return nil, text.Errorf("cannot start %s: %w", name, err)
	}
	err = h.run(&helper{name: name, command: h.set.PreSwap, generation: generation, stdout: int(out.write.Fd()), stderr: 2, limit: h.set.HookTimeout})
	line := out.lastLine()
	command, found := strings.CutPrefix(line, commandLine)
	if err != nil || !found {
		return nil, err
	}
	words, err := config.Words(command)
	if err == nil && (len(words) == 0 || words[0] == "") {
		err = errors.New("it names no command")
	}
	if err != nil {
		return nil, text.Errorf("cannot use the last line of %s, %s: %w", name, text.Quote(line, 200), err)
	}
	return words, nil
}

// after runs the hook after a swap, in the background, one after the other.
func (h *hooks) after(generation int, ok bool) {
	if len(h.set.PostSwap) == 0 || h.stopping() {
		return
	}
	if len(h.waiting) == hooksMax {
		h.warn("hook", "the post-swap hook is not run for this swap: it still has to run for "+itoa(hooksMax)+" others", generation, 0)
		return
	}
	result := "SWAPINIT_RESULT=failed"
	if ok {
		result = "SWAPINIT_RESULT=ok"
	}
	h.waiting = append(h.waiting, &helper{name: "the post-swap hook", command: h.set.PostSwap, generation: generation, env: []string{result}, stdout: 2, stderr: 2, limit: h.set.HookTimeout})
	if !h.running {
		h.next()
	}
}

func (h *hooks) next() {
	h.running = len(h.waiting) > 0 && !h.stopping()
	if !h.running {
		return
	}
	first := h.waiting[0]
	h.waiting = h.waiting[1:]
	go func() {
		err := h.run(first)
		h.post(func() {
			if err != nil {
				h.warn("hook", err.Error(), first.generation, 0)
			}
			h.next()
		})
	}()
}

// output is the end of what a hook writes. It owns both ends of a pipe.
type output struct {
	read  *os.File
	write *os.File // the hook's end
	done  chan struct{}
	data  []byte // the reader's until done
}

// newOutput makes the pipe and reads from it, however much comes.
func newOutput() (*output, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o := &output{read: read, write: write, done: make(chan struct{})}
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
	o.write.Close()
	_ = o.read.SetReadDeadline(time.Unix(1, 0))
	<-o.done
	conn, _ := o.read.SyscallConn() // fails for a nil file only
	_ = conn.Control(func(fd uintptr) {
		buf := make([]byte, 1<<20) // the largest pipe; a daemon may go on writing
		n, _ := syscall.Read(int(fd), buf)
		o.add(buf[:max(n, 0)])
	})
	o.read.Close()
	text := bytes.TrimSpace(o.data)
	return string(bytes.TrimSpace(text[bytes.LastIndexByte(text, '\n')+1:]))
}
