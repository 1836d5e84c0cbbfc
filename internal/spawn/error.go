package spawn

import (
	"errors"
	"strconv"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/text"
)

// The steps at which a start can fail, the values of Error.Stage.
const (
	stageLookup = "lookup" // there is no such program
	stageChdir  = "chdir"
	stageUser   = "user"
	stageFork   = "fork" // no process could be had
	stageExec   = "exec" // the kernel refused the program
)

// limitHint is what EAGAIN means to someone who runs containers.
const limitHint = "the process table or --pids-limit is full"

// Error tells why a program could not be started.
type Error struct {
	Stage string // "lookup" "chdir" "user" "fork" "exec": the step that failed
	Path  string // what it failed on: the program, the directory or the user
	Err   error  // wraps the errno, where the kernel gave a telling one
}

func failed(stage, path string, err error) *Error { return &Error{stage, path, err} }

// Error is one line without the program's own name in front.
func (e *Error) Error() string {
	what := "cannot start"
	switch {
	case e.Stage == stageChdir:
		what = "cannot change to directory"
	case e.Stage == stageUser:
		what = "cannot become user"
	case e.Stage == stageLookup && e.missing():
		what = "cannot find command"
	case e.Stage == stageLookup, e.Stage == stageExec:
		what = "cannot execute"
	}
	return what + " " + strconv.Quote(e.Path) + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// ExitStatus is what shells and Docker exit with for such a failure: 127 the
// command was not found, 126 it was found but can not be executed, 125 all
// that is no fault of the command.
func (e *Error) ExitStatus() int {
	switch {
	case e.Stage == stageLookup && e.missing():
		return 127
	case e.Stage == stageLookup, e.Stage == stageExec:
		return 126
	}
	return 125
}

func (e *Error) missing() bool {
	return errors.Is(e.Err, syscall.ENOENT) || errors.Is(e.Err, syscall.ENOTDIR)
}

// hint adds to an error what it means here, or what to do.
func hint(err error, more string) error { return text.Errorf("%w%s", err, more) }

// bad is an error about a value.
func bad(before, value, after string) error {
	return errors.New(before + strconv.Quote(value) + after)
}

// explainStage is for an execve of the exec stage, not of the program, that failed.
func (s *Spec) explainStage(err error) *Error {
	switch {
	case err == syscall.E2BIG:
		return s.explainExec(err) // the stage's arguments are the program's
	case err == syscall.EACCES && s.User != nil:
		return failed(stageUser, s.User.String(), hint(err, " to execute swapinit itself, which sets up the child: make its file executable for all (chmod 755)"))
	case err == syscall.ENOENT:
		err = hint(err, ": is /proc mounted")
	}
	return failed(stageFork, s.Path, text.Errorf("cannot run /proc/self/exe: %w", err))
}

// explain finds out at which step a fork with s failed. atExec is for the last one,
// when the kernel got as far as the execve.
//
// The errno alone does not tell: ENOENT and EACCES come from chdir and execve
// alike, EPERM from setgroups and execve. So the same is tried once more with a
// program that no kernel runs and that fails with another errno. If that errno
// comes back, the steps before are fine; if not, leave them out one by one.
func (s *Spec) explain(err error, atExec func(error) *Error) *Error {
	if err == syscall.ENOTTY {
		return failed(stageFork, s.Path, text.Errorf("cannot give it the terminal: %w", err))
	}
	if e := s.limit(err); e != nil {
		return e
	}
	probe := "/" // a directory: EACCES
	if err == syscall.EACCES {
		probe = "" // ENOENT
	}
	t := *s
	t.Tty = -1 // the foreground is not for a probe
	passes := func() bool {
		_, _, e := t.forkExec(probe, []string{"probe"}, nil, t.Files)
		return e != err
	}
	if passes() {
		return atExec(err)
	}
	if t.Dir = ""; s.Dir != "" && passes() {
		return failed(stageChdir, s.Dir, err)
	}
	if t.User = nil; s.User != nil && passes() {
		if err == syscall.EPERM {
			err = hint(err, ": that takes CAP_SETUID and CAP_SETGID")
		}
		return failed(stageUser, s.User.String(), err)
	}
	return failed(stageFork, s.Path, err)
}

// explainExec is for an execve of the program that failed.
func (s *Spec) explainExec(err error) *Error {
	if e := s.limit(err); e != nil {
		return e
	}
	path := beneath(s.Dir, s.Path)
	switch errno(err) {
	case syscall.ENOENT, syscall.ENOTDIR:
		if !exists(path) {
			return failed(stageLookup, s.Path, err)
		}
		err = errInterpreter(path)
	case syscall.EACCES:
		if executable(path) == syscall.EISDIR {
			err = syscall.EISDIR
		} else if s.User != nil {
			err = hint(err, " for user "+s.User.String())
		}
	case syscall.ENOEXEC:
		err = hint(err, ": is it for another machine (docker's --platform), or damaged")
	case syscall.ETXTBSY:
		err = hint(err, ": it is still being written")
	}
	return failed(stageExec, s.Path, err)
}

// explainShell is for a script without a #! line whose shell failed.
func (s *Spec) explainShell(err error) *Error {
	if e := s.limit(err); e != nil {
		return e
	}
	return failed(stageExec, s.Path, hint(syscall.ENOEXEC, ", and it cannot be run as a script by "+shell+": "+err.Error()))
}

// errno is that of a bare one, 0 for any other error.
func errno(err error) syscall.Errno {
	n, _ := err.(syscall.Errno)
	return n
}

// limit is for the errnos that mean "not now", nil for those about the program.
func (s *Spec) limit(err error) *Error {
	switch errno(err) {
	case syscall.EAGAIN:
		err = hint(err, ": "+limitHint)
	case syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE:
	default:
		return nil
	}
	return failed(stageFork, s.Path, err)
}

func exists(path string) bool {
	var st syscall.Stat_t
	return syscall.Stat(path, &st) == nil
}

// errInterpreter is for a file that is there although the kernel says ENOENT.
// It does not wrap that errno: the command was found.
func errInterpreter(path string) error {
	line, isShebang := strings.CutPrefix(string(head(path)), "#!")
	if !isShebang {
		return errors.New("the file is there but its dynamic loader is not: was it built for another libc")
	}
	line, _, _ = strings.Cut(line, "\n")
	name, _, _ := strings.Cut(strings.Trim(strings.ReplaceAll(line, "\t", " "), " "), " ")
	problem := " does not exist"
	if exists(name) {
		problem = " lacks something itself: a dynamic loader or an interpreter of its own"
	} else if strings.HasSuffix(name, "\r") {
		problem = " does not exist: the file has Windows line ends"
	}
	return bad("its interpreter ", name, problem)
}
