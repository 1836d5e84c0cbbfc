package spawn

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"
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
func hint(err error, text string) error { return fmt.Errorf("%w%s", err, text) }

// bad is an error about a value.
func bad(before, value, after string) error {
	return errors.New(before + strconv.Quote(value) + after)
}
