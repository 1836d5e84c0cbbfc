package ns

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Config describes a container: a program, and what it inherits.
type Config struct {
	Path string   // the program
	Args []string // without argv[0]
	Env  []string
	Dir  string // "" = /

	Namespaces bool // false: a plain process
	Terminal   bool // TTY is the controlling terminal
	TTY        *os.File
	Stdin      *os.File // nil = /dev/null, as for the other two
	Stdout     *os.File
	Stderr     *os.File
	Files      []*os.File // from fd 3; owned by the caller

	Ignore    []syscall.Signal // ignored when the program starts
	Umask     int              // 0 = keep
	Nice      int              // added to the niceness
	NoFile    uint64           // both limits on open files; 0 = keep
	Uid       int              // uid and gid; 0 = keep
	ListenPid bool             // adds LISTEN_PID with the program's pid
	ReadOnly  bool             // /run, /tmp and /dev/shm cannot be written
	HideTmp   bool             // an empty /tmp of its own
	OuterProc bool             // /proc is that of the pid namespace outside

	Network *Container // its network is this one's; nil = one of its own
	Name    string     // the host's name, and the id in the path of /etc/hostname; "" = neither
	Mounts  []Mount    // besides
}

// Mount is one more mount(2) of a container, in its own mount namespace.
type Mount struct {
	Source, Target, Kind string
	Flags                uintptr
	Data                 string
}

// LastWins drops all but the last setting of each variable: most programs take the first.
func LastWins(env []string) []string {
	var all []string
	for i, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if !slices.ContainsFunc(env[i+1:], func(later string) bool { return strings.HasPrefix(later, name+"=") }) {
			all = append(all, kv)
		}
	}
	return all
}

// Container is a running program. Its owner calls Kill, or waits for Done.
type Container struct {
	cmd    *exec.Cmd
	spaces bool     // it has namespaces of its own
	netns  *os.File // nil without, or when it could not be opened
	lost   error    // why, mostly that it had ended before
	done   chan struct{}
}

// Start starts the program. It returns before the stage has exec'ed it.
func Start(c Config) (*Container, error) {
	s := setup{Path: c.Path, Argv: append([]string{c.Path}, c.Args...), Env: c.Env, Dir: c.Dir, Namespaces: c.Namespaces,
		Umask: c.Umask, Nice: c.Nice, NoFile: c.NoFile, Uid: c.Uid, ListenPid: c.ListenPid, ReadOnly: c.ReadOnly, HideTmp: c.HideTmp, OuterProc: c.OuterProc, Name: c.Name, Mounts: c.Mounts}
	if c.Network != nil {
		s.Network = c.Network.proc("ns/net")
	}
	if s.Umask == 0 {
		s.Umask = -1
	}
	if s.Dir == "" {
		s.Dir = "/"
	}
	for _, sig := range c.Ignore {
		s.Ignore = append(s.Ignore, int(sig))
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{stageName, string(text)}
	cmd.Env = []string{} // the stage must not hand down what the caller has
	if c.Stdin != nil {
		cmd.Stdin = c.Stdin
	}
	if c.Stdout != nil {
		cmd.Stdout = c.Stdout
	}
	if c.Stderr != nil {
		cmd.Stderr = c.Stderr
	}
	cmd.ExtraFiles = c.Files
	cmd.SysProcAttr = sysProcAttr(c)
	if c.Terminal {
		cmd.ExtraFiles = append(append([]*os.File{}, c.Files...), c.TTY)
	}
	if err := onStarter(cmd.Start); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", c.Path, err)
	}
	box := &Container{cmd: cmd, done: make(chan struct{})}
	if c.Namespaces {
		// A program that has ended already has no namespaces any more.
		box.spaces = true
		box.netns, box.lost = os.Open(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid))
	}
	go func() {
		defer close(box.done)
		_ = cmd.Wait() // the status is in ProcessState
	}()
	return box, nil
}

// Pid is the program's pid as the caller sees it.
func (c *Container) Pid() int { return c.cmd.Process.Pid }

// Done is closed when the program has ended.
func (c *Container) Done() <-chan struct{} { return c.done }

// Status is how the program ended; only after Done.
func (c *Container) Status() syscall.WaitStatus {
	return c.cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// Usage is what the program used; only after Done.
func (c *Container) Usage() *syscall.Rusage {
	return c.cmd.ProcessState.SysUsage().(*syscall.Rusage)
}

// Signal sends sig to the program.
func (c *Container) Signal(sig syscall.Signal) error { return c.cmd.Process.Signal(sig) }

// Kill ends the program, and with namespaces everything in them, and waits.
func (c *Container) Kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
	if c.netns != nil {
		_ = c.netns.Close()
	}
}

// Running reports whether the stage has become the program.
func (c *Container) Running() bool {
	comm, err := os.ReadFile(c.proc("cmdline"))
	return err == nil && len(comm) > 0 && !startsWith(comm, stageName+"\x00")
}

func startsWith(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

func (c *Container) proc(name string) string {
	return "/proc/" + strconv.Itoa(c.Pid()) + "/" + name
}

// Dial connects from inside the container's network, without a process there.
func (c *Container) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := c.InNetwork(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// InNetwork calls f on a thread that is in the container's network namespace.
// Sockets belong to the namespace that they were made in, so that f can make
// them and others can use them later. f must not start goroutines that make
// sockets.
func (c *Container) InNetwork(f func() error) error {
	if !c.spaces {
		return f()
	}
	if c.netns == nil {
		return c.lost
	}
	done := make(chan error)
	go func() { done <- c.visit(f) }()
	return <-done
}

// visit needs a goroutine of its own: where it may not go back (the first
// network namespace belongs to the real root) the goroutine ends with its
// thread locked, and the thread ends with it.
func (c *Container) visit(f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err := unix.Setns(int(c.netns.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("cannot enter the network: %w", err)
	}
	err = f()
	if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
	return err
}

// Command prepares a command that runs inside, as docker exec does: not a
// child of PID 1, with ppid 0.
func (c *Container) Command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	if !c.spaces {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env = env
		return cmd
	}
	enter := []string{"-t", strconv.Itoa(c.Pid()), "-m", "-n", "-p", "-i", "-u", "--"}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	cmd.Env = env
	return cmd
}
