package spawn

import (
	"bytes"
	"cmp"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"golang.org/x/sys/unix"
)

const shell = "/bin/sh" // where execvp(3) looks for it

// A file that is open for writing can not be executed (ETXTBSY). Mostly nobody
// writes any more: a threaded deployer forked while the file was open, and its
// child holds the descriptor until its own exec a moment later. Nothing tells
// when that is over, so try again, for half a second at most.
const (
	busyTries = 100
	busyPause = 5 * time.Millisecond
)

// Stage is the first call of main. In an ordinary process it returns at once;
// in the exec stage, which is recognised by argv[0], it becomes the program
// that was asked for, or reports why it can not and ends the process.
//
// install, which may be nil, is called with Spec.Adopt, right before the exec: the
// descriptor that it returns goes to the parent. It may tie the goroutine to its
// thread, which then does the exec. When it fails the program runs all the same.
func Stage(install func() (listener int, err error)) {
	if len(os.Args) == 0 || os.Args[0] != stageName {
		return
	}
	r, err := decodeRequest(os.Args[1:], syscall.Environ(), os.Getpid())
	if err != nil {
		// Somebody typed the name. There is no pipe to report on.
		os.Stderr.WriteString("swapinit: " + err.Error() + "\n")
		syscall.Exit(125)
	}
	syscall.CloseOnExec(r.pipe) // handing it over has removed the flag
	for _, sig := range r.ignore {
		signal.Ignore(sig)
	}
	listener, adopted := -1, error(nil)
	if r.adopt && install != nil {
		listener, adopted = install()
	}
	r.tell(stepBegin, errno(adopted), listener)
	step, number := r.exec()
	r.tell(step, number, -1)
	// The parent knows from the pipe; the status is for nobody. Exit of package
	// syscall, because nothing is to be run or flushed here.
	syscall.Exit(126)
}

// exec returns only when it failed. It leaves the limit on open files to
// syscall.Exec, which puts back what the Go runtime has raised.
func (r *request) exec() (step string, _ syscall.Errno) {
	err := syscall.Exec(r.path, r.argv, r.env)
	for try := 0; err == syscall.ETXTBSY && try < busyTries; try++ {
		<-clock.After(busyPause)
		err = syscall.Exec(r.path, r.argv, r.env)
	}
	step = stepExec
	if err == syscall.ENOEXEC && isScript(r.path) {
		step = stepShell
		err = syscall.Exec(shell, shellArgv(r.path, r.argv), r.env)
	}
	return step, cmp.Or(errno(err), syscall.EINVAL)
}

// tell ignores errors: a parent that no longer listens does not need to know. A
// descriptor that goes with the message is closed here.
func (r *request) tell(step string, errno syscall.Errno, fd int) {
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
		defer syscall.Close(fd)
	}
	_ = unix.Sendmsg(r.pipe, encodeMessage(step, errno), rights, nil, 0)
}

// shellArgv is what execvp(3) makes of a file without a magic number: the path
// takes the place of argv[0].
func shellArgv(path string, argv []string) []string {
	if strings.HasPrefix(path, "-") {
		path = "./" + path // not an option of the shell
	}
	return append([]string{shell, path}, argv[1:]...)
}

// isScript keeps binaries of another machine from a shell that would print
// "syntax error" about them. As in shells: a NUL byte in the first line is no
// text. A file that can not be read is left to the shell to complain about.
func isScript(path string) bool {
	line, _, _ := bytes.Cut(head(path), []byte{'\n'})
	return bytes.IndexByte(line, 0) < 0
}

// head returns the beginning of a file, as much as the kernel looks at; empty
// if it can not be read.
func head(path string) []byte {
	// NONBLOCK: it may be a fifo by now.
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	buf := make([]byte, 256) // BINPRM_BUF_SIZE
	n, _ := syscall.Read(fd, buf)
	return buf[:max(n, 0)]
}
