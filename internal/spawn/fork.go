package spawn

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spec says what to start. The child always gets a process group of its own.
type Spec struct {
	Path    string           // the program, as LookPath returns it; relative to Dir
	Argv    []string         // with argv[0]; empty = Path alone
	Env     []string         // all of it, passed on as it stands, duplicates too
	Dir     string           // working directory; "" = keep ours
	Files   []uintptr        // child's fd i is Files[i]; at least 3, all open; the caller's
	User    *User            // nil = keep ours
	Tty     int              // our fd of the terminal whose foreground the child gets, or -1
	PidVars []string         // to be set to the child's own pid, where they stand in Env, else at its end
	Ignore  []syscall.Signal // to be ignored in the child; not 32 to 34, which Go cannot ignore
	NoPidFD bool             // ask for none: not every kernel lets a clone pass that does
	Adopt   bool             // the stage calls its install, see Stage
}

// Child is a process that has been started.
type Child struct {
	Pid   int
	PidFD int // close-on-exec; belongs to whoever takes it; -1: none

	// Set by Exec, with Spec.Adopt: what install has returned, close-on-exec, and
	// belongs to whoever takes it; or -1, and why it has failed.
	Listener   int
	NotAdopted syscall.Errno

	spec   *Spec
	report *os.File // our end of the stage's socket, closed by Exec; nil without a stage
}

// Fork starts s. Without PidVars, Ignore and Adopt the child is its program when Fork
// returns; otherwise it is on the way there and Child.Exec must be called. Until
// Exec has returned, the child is a Go program that dies of signals in its own
// fashion (QUIT prints stacks), so hold back what is to be forwarded.
//
// The error is an *Error. A failed Fork leaves no process and no fd behind; it
// may have given the foreground of Tty to a group that is gone.
func Fork(s Spec) (*Child, error) {
	if len(s.Argv) == 0 {
		s.Argv = []string{s.Path}
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	if len(s.PidVars) > 0 || len(s.Ignore) > 0 || s.Adopt {
		return s.forkStage()
	}
	pid, pidfd, err := s.forkExec(s.Path, s.Argv, s.Env, s.Files)
	switch {
	case err == syscall.ENOEXEC && isScript(beneath(s.Dir, s.Path)):
		pid, pidfd, err = s.forkExec(shell, shellArgv(s.Path, s.Argv), s.Env, s.Files)
		if err != nil {
			return nil, s.explainShell(err)
		}
	case err == syscall.ETXTBSY:
		return s.forkStage() // it can wait for the file, the init can not
	}
	if err != nil {
		return nil, s.explain(err, s.explainExec)
	}
	return &Child{Pid: pid, PidFD: pidfd, Listener: -1}, nil
}

// check refuses what ForkExec would report as an errno that says nothing.
func (s *Spec) check() error {
	if s.Path == "" {
		return failed(stageLookup, s.Path, errNameless)
	}
	if len(s.Files) < 3 || slices.Contains(s.Files, ^uintptr(0)) {
		return failed(stageFork, s.Path, syscall.EBADF)
	}
	if hasNul(s.Path) || hasNul(s.Dir) || slices.ContainsFunc(s.Argv, hasNul) || slices.ContainsFunc(s.Env, hasNul) {
		return failed(stageFork, s.Path, errors.New("an argument or variable contains a NUL byte"))
	}
	return nil
}

func hasNul(s string) bool { return strings.IndexByte(s, 0) >= 0 }

// forkStage starts the exec stage. Its socket is the fd after the child's own.
func (s *Spec) forkStage() (*Child, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, failed(stageFork, s.Path, err)
	}
	// A goroutine that waits for such a file costs no thread, and threads count
	// against --pids-limit. The child's end blocks.
	_ = syscall.SetNonblock(pair[0], true)
	report := os.NewFile(uintptr(pair[0]), "stage")
	files := append(slices.Clip(s.Files), uintptr(pair[1]))
	argv, env := encodeRequest(s, len(s.Files))
	pid, pidfd, err := s.forkExec("/proc/self/exe", argv, env, files)
	_ = syscall.Close(pair[1])
	if err != nil {
		report.Close()
		return nil, s.explain(err, s.explainStage)
	}
	return &Child{Pid: pid, PidFD: pidfd, Listener: -1, spec: s, report: report}, nil
}

// forkExec is the one place that forks. err is a bare errno.
func (s *Spec) forkExec(path string, argv, env []string, files []uintptr) (pid, pidfd int, err error) {
	attr := &syscall.ProcAttr{Dir: s.Dir, Env: env, Files: files, Sys: &syscall.SysProcAttr{Setpgid: true}}
	if pidfd = -1; !s.NoPidFD {
		attr.Sys.PidFD = &pidfd
	}
	if s.Tty >= 0 {
		attr.Sys.Foreground, attr.Sys.Ctty = true, s.Tty
	}
	if s.User != nil {
		attr.Sys.Credential = &syscall.Credential{Uid: s.User.Uid, Gid: s.User.Gid, Groups: s.User.Groups}
	}
	pid, err = syscall.ForkExec(path, argv, attr)
	if err == syscall.EPERM && s.User != nil && s.User.isUs() {
		// setgroups(2) needs CAP_SETGID even to change nothing.
		attr.Sys.Credential = nil
		pid, err = syscall.ForkExec(path, argv, attr)
	}
	return pid, pidfd, err
}

var errListener = errors.New("the listener of its filter was lost on the way: swapinit has no descriptor free")

// Exec waits until the child runs its program; nil means that it does. It must
// be called once, when a Fork went well, from any goroutine; it ends at the latest
// with the child. An error is an *Error. The child then ends by itself, or, where what
// Adopt asks for was lost, is to be killed: its exit status is not the program's.
func (c *Child) Exec() error {
	if c.report == nil {
		return nil
	}
	defer c.report.Close()
	data, err := c.read()
	step, number := "", syscall.Errno(0)
	if err == nil {
		step, number, c.NotAdopted, err = decodeReport(data)
	}
	if c.Listener >= 0 && (err != nil || step != stepBegin) {
		_ = syscall.Close(c.Listener)
		c.Listener = -1
	}
	switch {
	case err != nil:
		return failed(stageFork, c.spec.Path, err)
	case step == "":
		return failed(stageFork, c.spec.Path, errors.New("the child ended before its program began: it was killed, or "+limitHint))
	case step == stepBegin && c.spec.Adopt && c.Listener < 0 && c.NotAdopted == 0:
		// Whoever is under the filter without one gets ENOSYS from bind(2).
		return failed(stageFork, c.spec.Path, errListener)
	case step == stepBegin:
		return nil
	case step == stepShell:
		return c.spec.explainShell(number)
	}
	return c.spec.explainExec(number)
}

// read takes all that the stage says, up to the end of file, and the listener that may
// come with it.
func (c *Child) read() (data []byte, err error) {
	var buf [2*messageSize + 1]byte
	raw, err := c.report.SyscallConn()
	for err == nil && len(data) < len(buf) {
		var n, rights int
		var failed error
		var control [64]byte
		err = raw.Read(func(fd uintptr) bool {
			n, rights, _, _, failed = syscall.Recvmsg(int(fd), buf[len(data):], control[:], syscall.MSG_CMSG_CLOEXEC)
			return failed != syscall.EAGAIN
		})
		if failed == syscall.EINTR {
			continue
		}
		c.take(control[:rights])
		if n <= 0 || failed != nil { // ECONNRESET: it ended without having read what it was told
			break
		}
		data = buf[:len(data)+n]
	}
	return data, err
}

// take keeps the first descriptor that came, and closes any other.
func (c *Child) take(control []byte) {
	messages, _ := unix.ParseSocketControlMessage(control)
	for i := range messages {
		fds, _ := unix.ParseUnixRights(&messages[i])
		for _, fd := range fds {
			if c.Listener < 0 {
				c.Listener = fd
				continue
			}
			_ = syscall.Close(fd)
		}
	}
}
