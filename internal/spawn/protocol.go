package spawn

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// What the parent tells the stage, in the only place that needs no fd, no file
// and no limit of its own: the arguments and the environment of the stage.
//
//	argv  swapinit-exec  v1  5a      1,2      /path    argv of the program …
//	                         socket  ignored  program
//	envp  GOMAXPROCS=1 GOGC=off  0:A=b  1:LISTEN_FDS=1  2!LISTEN_PID=0 …
//
// Each variable is numbered. So the Go runtime of the stage does not take the
// program's GODEBUG, GOGC … for its own, duplicates and malformed entries
// survive (package syscall would drop them), and the order is kept. "!" marks
// one whose value is to be the pid. It is the environment that carries it, as
// arguments can be read by every user. What is not numbered is the stage's own. An "a"
// behind the socket's number asks for Adopt.
const (
	stageName      = "swapinit-exec"
	requestVersion = "v1"
)

// stageEnviron keeps the stage down to the threads that it can not do without:
// they count against --pids-limit.
var stageEnviron = []string{"GOMAXPROCS=1", "GOGC=off"}

type request struct {
	pipe      int // the socket
	adopt     bool
	ignore    []syscall.Signal
	path      string
	argv, env []string
}

func encodeRequest(s *Spec, pipe int) (argv, env []string) {
	ignore := ""
	for _, sig := range s.Ignore {
		ignore += "," + strconv.Itoa(int(sig))
	}
	adopt := ""
	if s.Adopt {
		adopt = "a"
	}
	argv = append([]string{stageName, requestVersion, strconv.Itoa(pipe) + adopt, strings.TrimPrefix(ignore, ","), s.Path}, s.Argv...)

	all := slices.Clip(s.Env)
	for _, name := range s.PidVars {
		if !slices.ContainsFunc(all, func(entry string) bool { return strings.HasPrefix(entry, name+"=") }) {
			all = append(all, name+"=")
		}
	}
	env = slices.Clip(stageEnviron)
	for i, entry := range all {
		mark := ":"
		if name, _, ok := strings.Cut(entry, "="); ok && slices.Contains(s.PidVars, name) {
			mark = "!"
		}
		env = append(env, strconv.Itoa(i)+mark+entry)
	}
	return argv, env
}

var errRequest = errors.New(stageName + " is run by swapinit only, it is no command")

// decodeRequest is the reverse, with pid put in where it belongs. args is
// without the stage's name.
func decodeRequest(args, environ []string, pid int) (*request, error) {
	if len(args) < 5 || args[0] != requestVersion {
		return nil, errRequest
	}
	r := &request{path: args[3], argv: args[4:]}
	var err error
	number := args[1]
	number, r.adopt = strings.CutSuffix(number, "a")
	if r.pipe, err = strconv.Atoi(number); err != nil || r.pipe < 3 {
		return nil, errRequest
	}
	if args[2] != "" {
		for _, field := range strings.Split(args[2], ",") {
			n, err := strconv.Atoi(field)
			if err != nil || n < 1 || n > 64 {
				return nil, errRequest
			}
			r.ignore = append(r.ignore, syscall.Signal(n))
		}
	}
	for _, entry := range environ {
		numbered := strings.TrimLeft(entry, "0123456789")
		if numbered == "" || len(numbered) == len(entry) {
			continue
		}
		switch mark, entry := numbered[0], numbered[1:]; mark {
		case ':':
			r.env = append(r.env, entry)
		case '!':
			name, _, _ := strings.Cut(entry, "=")
			r.env = append(r.env, name+"="+strconv.Itoa(pid))
		}
	}
	return r, nil
}

// What the stage tells its parent: messages of 14 bytes on a socket that is
// close-on-exec, so that the end of file says "the program runs now".
//
//	 0    2  3          8  9             13
//	┌──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┐
//	│v  1 │␠ │ step         │␠ │ errno     │\n│
//	└──┴──┴──┴──┴──┴──┴──┴──┴──┴──┴──┴──┴──┴──┘
//	 step: "begin"  the next thing is the execve; errno 0000, or why there is no
//	                listener (Adopt), which otherwise comes with it (SCM_RIGHTS)
//	       "exec "  the execve of the program failed with errno
//	       "shell"  it was no binary, and /bin/sh failed with errno
//
//	 begin EOF              the program runs
//	 begin exec|shell EOF   it does not
//	 EOF                    the stage died before it came to that
//
// "begin" is there for the third case: a Go program that can not get its
// threads dies in the runtime, before any code of ours.
const (
	messageVersion = "v1"
	messageSize    = 14

	stepBegin = "begin"
	stepExec  = "exec "
	stepShell = "shell"
)

func encodeMessage(step string, errno syscall.Errno) []byte {
	digits := strconv.Itoa(10_000 + int(errno))[1:]
	return []byte(messageVersion + " " + step + " " + digits + "\n")
}

// decodeReport reads all that came until the end of file. "" is a stage that
// died early, "begin" a program that runs, the others are failures.
// notAdopted is the errno of "begin".
func decodeReport(b []byte) (step string, errno, notAdopted syscall.Errno, err error) {
	if len(b) == 0 {
		return "", 0, 0, nil
	}
	first, notAdopted := decodeMessage(b[:min(len(b), messageSize)])
	rest := b[min(len(b), messageSize):]
	switch {
	case first != stepBegin:
	case len(rest) == 0:
		return stepBegin, 0, notAdopted, nil
	default:
		step, errno = decodeMessage(rest)
		if errno > 0 && (step == stepExec || step == stepShell) {
			return step, errno, notAdopted, nil
		}
	}
	return "", 0, 0, bad("malformed report ", string(b), " from the exec stage")
}

// decodeMessage is the reverse of encodeMessage, "" for anything else.
func decodeMessage(b []byte) (step string, errno syscall.Errno) {
	if len(b) != messageSize {
		return "", 0
	}
	n, _ := strconv.Atoi(string(b[9:13]))
	step, errno = string(b[3:8]), syscall.Errno(n)
	if n < 0 || !bytes.Equal(encodeMessage(step, errno), b) {
		return "", 0
	}
	return step, errno
}
