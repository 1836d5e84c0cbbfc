package spawn

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// What the parent tells the stage, in the only place that needs no fd, no file
// and no limit of its own: the arguments and the environment of the stage.
//
//	argv  swapinit-exec  v1  5     1,2      /path    argv of the program …
//	                         pipe  ignored  program
//	envp  GOMAXPROCS=1 GOGC=off  0:A=b  1:LISTEN_FDS=1  2!LISTEN_PID=0 …
//
// Each variable is numbered. So the Go runtime of the stage does not take the
// program's GODEBUG, GOGC … for its own, duplicates and malformed entries
// survive (package syscall would drop them), and the order is kept. "!" marks
// one whose value is to be the pid. It is the environment that carries it, as
// arguments can be read by every user. What is not numbered is the stage's own.
const (
	stageName      = "swapinit-exec"
	requestVersion = "v1"
)

// stageEnviron keeps the stage down to the threads that it can not do without:
// they count against --pids-limit.
var stageEnviron = []string{"GOMAXPROCS=1", "GOGC=off"}

type request struct {
	pipe      int
	ignore    []syscall.Signal
	path      string
	argv, env []string
}

func encodeRequest(s *Spec, pipe int) (argv, env []string) {
	ignore := ""
	for _, sig := range s.Ignore {
		ignore += "," + strconv.Itoa(int(sig))
	}
	argv = append([]string{stageName, requestVersion, strconv.Itoa(pipe), strings.TrimPrefix(ignore, ","), s.Path}, s.Argv...)

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
	if r.pipe, err = strconv.Atoi(args[1]); err != nil || r.pipe < 3 {
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
