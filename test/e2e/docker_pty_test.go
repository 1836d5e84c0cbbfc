//go:build linux

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// dockerTerminal is a command with a terminal of its own, as a user at a
// keyboard has it: the test holds the keyboard and the screen.
type dockerTerminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	read   chan struct{} // closed when the screen stays as it is

	mu     sync.Mutex
	screen bytes.Buffer
}

func dockerOnTerminal(t *testing.T, name string, args ...string) *dockerTerminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatalf("cannot open a terminal: %v", err)
	}
	master := os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(int(n)), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()

	d := &dockerTerminal{t: t, master: master, read: make(chan struct{})}
	d.resize(80, 24)
	d.cmd = exec.Command(name, args...)
	d.cmd.Stdin, d.cmd.Stdout, d.cmd.Stderr = slave, slave, slave
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.read)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			d.mu.Lock()
			d.screen.Write(buf[:n])
			d.mu.Unlock()
			if err != nil {
				return // EIO: nobody holds the other side any more
			}
		}
	}()
	t.Cleanup(func() {
		if d.cmd.ProcessState == nil {
			d.cmd.Process.Kill()
			d.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("screen:\n%s", d.text())
		}
	})
	return d
}

func (d *dockerTerminal) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.screen.String()
}

func (d *dockerTerminal) resize(columns, rows uint16) {
	d.t.Helper()
	conn, err := d.master.SyscallConn()
	if err != nil {
		d.t.Fatal(err)
	}
	conn.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *dockerTerminal) press(keys string) {
	d.t.Helper()
	if _, err := d.master.WriteString(keys); err != nil {
		d.t.Fatal(err)
	}
}

func (d *dockerTerminal) await(text string) {
	d.t.Helper()
	dockerEventually(d.t, strconv.Quote(text)+" on the screen", func() bool { return strings.Contains(d.text(), text) })
}

// wait waits for the command's end and returns its exit status.
func (d *dockerTerminal) wait() int {
	d.t.Helper()
	done := make(chan struct{})
	go func() {
		d.cmd.Wait()
		close(done)
	}()
	dockerEventually(d.t, "the command on the terminal ends", func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	return d.cmd.ProcessState.ExitCode()
}
