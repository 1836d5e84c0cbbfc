package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal: what docker run -t gives to a container.
type terminal struct {
	t      *testing.T
	master *os.File
	slave  *os.File

	mu   sync.Mutex
	text strings.Builder
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		skip(t, "namespaces", "no pseudo-terminals: %v", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &terminal{t: t, master: master, slave: slave}
	var reader sync.WaitGroup
	reader.Add(1)
	go func() {
		defer reader.Done()
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			p.mu.Lock()
			p.text.Write(buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = slave.Close() // the last one: the reader gets EIO
		reader.Wait()
		_ = master.Close()
	})
	return p
}

// config makes p the controlling terminal and the standard streams.
func (p *terminal) config(o opts) opts {
	o.Terminal, o.TTY = true, p.slave
	o.Stdin, o.Stdout, o.Stderr = p.slave, p.slave, p.slave
	return o
}

func (p *terminal) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func (p *terminal) await(text string) {
	p.t.Helper()
	if !poll(func() bool { return strings.Contains(p.String(), text) }) {
		p.t.Fatalf("waited %v for %q on the terminal, which shows %q", patience, text, p.String())
	}
}

func (p *terminal) press(keys string) {
	p.t.Helper()
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// Point 7. The terminal is /dev/tty, whatever stdin is.
func TestControllingTerminalWithStdinNull(t *testing.T) {
	t.Parallel()
	p := newTerminal(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	o := p.config(opts{})
	o.Stdin = null
	c := shell(t, o, "echo up; read x </dev/tty; echo got-$x; exit 5")
	p.await("up")
	p.press("hello\n")
	p.await("got-hello")
	c.wantStatus(5)
}

// Point 8.
func TestTerminalKeys(t *testing.T) {
	t.Run("Ctrl-C goes to the child", func(t *testing.T) {
		t.Parallel()
		p := newTerminal(t)
		c := shell(t, p.config(opts{}), "trap 'echo interrupted; exit 4' INT; echo up; while :; do sleep 0.01; done")
		p.await("up")
		p.press("\x03")
		p.await("interrupted")
		c.wantStatus(4)
	})
	t.Run("Ctrl-C once", func(t *testing.T) {
		t.Parallel()
		p := newTerminal(t)
		c := start(t, p.config(opts{Env: webEnv(), Args: server(t, "-on", "INT")}))
		p.await("gen 1: ready")
		c.wantServing(1)
		p.press("\x03")
		c.wantStatus(0)
		p.await("gen 1: done")
		if n := strings.Count(p.String(), "got INT"); n != 1 {
			t.Errorf("INT came %d times", n)
		}
	})
	t.Run("the window's size", func(t *testing.T) {
		t.Parallel()
		p := newTerminal(t)
		c := start(t, p.config(opts{Args: server(t)}))
		p.await("gen 1: ready")
		size := &unix.Winsize{Row: 33, Col: 99}
		if err := unix.IoctlSetWinsize(int(p.master.Fd()), unix.TIOCSWINSZ, size); err != nil {
			t.Fatal(err)
		}
		p.await("got WINCH")
		c.Signal(syscall.SIGTERM)
		c.wantStatus(0)
	})
	t.Run("job control", func(t *testing.T) {
		t.Parallel()
		if _, err := exec.LookPath("bash"); err != nil {
			skip(t, "bash", "%v", err)
		}
		p := newTerminal(t)
		c := start(t, p.config(opts{Env: []string{"PS1=prompt>", "TERM=dumb"}, Args: []string{"bash", "--norc", "--noprofile", "-i"}}))
		p.await("prompt>")
		p.press("sleep 1000\n")
		await(t, "sleep", func() bool { return procNamed(c, "sleep") != nil })
		p.press("\x1a")
		p.await("Stopped")
		p.press("fg\n")
		await(t, "sleep to go on", func() bool { s := procNamed(c, "sleep"); return s != nil && s.State == "S" })
		p.press("\x03")
		await(t, "sleep to end", func() bool { return procNamed(c, "sleep") == nil })
		p.press("exit 7\n")
		c.wantStatus(7)
		if strings.Contains(p.String(), "no job control") {
			t.Errorf("bash has no job control: %q", p.String())
		}
	})
}

// The successor gets the foreground with the cut-over: keys go to the active
// generation.
func TestTerminalAfterSwap(t *testing.T) {
	t.Parallel()
	p := newTerminal(t)
	c := start(t, p.config(opts{Env: webEnv(), Args: server(t, "-on", "INT,TERM")}))
	p.await("gen 1: ready")
	c.Swap()
	c.awaitStates("2:active")
	p.press("\x03")
	p.await("gen 2: got INT")
	c.wantStatus(0)
}

// A worker that is started again has the keys of the one before.
func TestTerminalAfterRespawn(t *testing.T) {
	t.Parallel()
	p := newTerminal(t)
	c := start(t, p.config(opts{Env: webEnv("SWAPINIT_RESPAWN=always"), Args: server(t, "-on", "INT,TERM")}))
	p.await("gen 1: ready")
	for n := range 2 {
		pid := c.status().Generations[0].Pid
		if err := syscall.Kill(c.hostPid(pid), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		await(t, "another worker", func() bool { s := c.status(); return s.Ready && s.Generations[0].Pid != pid })
		if n == 0 {
			c.Swap()
			c.awaitStates("2:active")
		}
	}
	p.press("\x03")
	p.await("gen 2: got INT")
}

// Where swapinit is not PID 1 somebody may go on with the terminal.
func TestTerminalGivenBack(t *testing.T) {
	for name, command := range map[string]string{"after its end": "-- sh -c 'exit 3'", "after a start that failed": "/nonexistent"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newTerminal(t)
			o := p.config(opts{Bare: true})
			o.Args = []string{"/bin/sh", "-c", binary(t, "swapinit") + " " + command + "; echo asking; read x </dev/tty && echo got-$x"}
			c := start(t, o)
			p.await("asking")
			p.press("hello\n")
			p.await("got-hello")
			c.wantStatus(0)
		})
	}
}

// jobs runs swapinit in the foreground of a shell with job control, and then the
// script.
func (p *terminal) jobs(o opts, script string) (c *container, init int) {
	p.t.Helper()
	o.Bare = true
	o.Args = []string{"/bin/sh", "-c", "set -m; " + binary(p.t, "swapinit") + " " + strings.Join(server(p.t, "-on", "TERM,TTOU"), " ") + "; " + script}
	c = start(p.t, o)
	c.awaitOut("gen 1: ready")
	return c, procNamed(c, "swapinit").Host
}

// After ^Z and bg the terminal is the shell's: neither a swap nor the end take it.
func TestTerminalTakenByAShell(t *testing.T) {
	t.Parallel()
	p := newTerminal(t)
	o := p.config(opts{Env: webEnv()})
	o.Stdout = nil
	c, init := p.jobs(o, "bg; read x </dev/tty; echo got-$x; wait; read x </dev/tty; echo got-$x")
	if err := syscall.Kill(init, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	await(t, "the shell to continue it", func() bool { s := procNamed(c, "swapinit"); return s != nil && s.State == "S" })
	c.Swap()
	c.awaitStates("2:active")
	p.press("one\n")
	c.awaitOut("got-one")
	if err := syscall.Kill(init, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.press("two\n")
	c.awaitOut("got-two")
	c.wantStatus(0)
}

// swapinit writes from the background: with "stty tostop" no line of its log is lost,
// and the server is not stopped for it.
func TestTerminalTostop(t *testing.T) {
	for name, jobs := range map[string]bool{"as PID 1": false, "below a shell with job control": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newTerminal(t)
			attr, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
			if err == nil {
				attr.Lflag |= unix.TOSTOP
				err = unix.IoctlSetTermios(int(p.slave.Fd()), unix.TCSETS, attr)
			}
			if err != nil {
				t.Fatal(err)
			}
			o := p.config(opts{Env: webEnv("SWAPINIT_LOG=debug"), Args: server(t, "-on", "TERM,TTOU")})
			o.Stdout = nil // a successor that writes to the terminal is stopped, as anywhere
			var c *container
			var init int
			if jobs {
				c, init = p.jobs(o, "true")
			} else {
				c = start(t, o)
				c.awaitOut("gen 1: ready")
				init = c.box.Pid()
			}
			c.Swap()
			p.await("generation 2 has the traffic")
			c.awaitStates("2:active")
			if err := syscall.Kill(init, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			c.wantStatus(0)
			p.await("nothing-left") // the last event
			c.wantNever("got TTOU")
			if strings.Contains(p.String(), "lost because") {
				t.Errorf("the terminal shows %q", p.String())
			}
		})
	}
}
