package spawn

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// explain finds out at which step a fork with s failed.
func (s *Spec) explain(err error) *Error {
	if e := s.beforeExec(err); e != nil {
		return e
	}
	return s.explainExec(err)
}

// explainStage is for a failure to run the exec stage, not the program.
func (s *Spec) explainStage(err error) *Error {
	if e := s.beforeExec(err); e != nil {
		return e
	}
	switch {
	case err == syscall.E2BIG:
		return s.explainExec(err) // the stage's arguments are the program's
	case err == syscall.EACCES && s.User != nil:
		return failed(stageUser, s.User.String(), hint(err, " to execute swapinit itself, which sets up the child: make its file executable for all (chmod 755)"))
	case err == syscall.ENOENT:
		err = hint(err, ": is /proc mounted")
	}
	return failed(stageFork, s.Path, fmt.Errorf("cannot run /proc/self/exe: %w", err))
}

// beforeExec returns nil when the kernel got as far as the execve.
//
// The errno alone does not tell: ENOENT and EACCES come from chdir and execve
// alike, EPERM from setgroups and execve. So the same is tried once more with a
// program that no kernel runs and that fails with another errno. If that errno
// comes back, the steps before are fine; if not, leave them out one by one.
func (s *Spec) beforeExec(err error) *Error {
	if err == syscall.ENOTTY {
		return failed(stageFork, s.Path, fmt.Errorf("cannot give it the terminal: %w", err))
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
		return nil
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
