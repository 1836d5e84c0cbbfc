package main

import (
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// become runs a program as another user, which takes the place of this one: what
// su-exec and gosu do. "server become UID PROGRAM ARG..."
func become(args []string) {
	if len(args) < 2 {
		fatal("usage: server become UID PROGRAM ARG...")
	}
	if err := setUser(args[0]); err != nil {
		fatal("cannot become uid %s: %v", args[0], err)
	}
	replace(args[1:])
}

// setUser makes uid and gid of all threads that uid, as a daemon does after its start.
func setUser(uid string) error {
	id, err := strconv.Atoi(uid)
	if err == nil {
		err = syscall.Setgroups(nil)
	}
	if err == nil {
		err = syscall.Setgid(id)
	}
	if err == nil {
		err = syscall.Setuid(id)
	}
	return err
}

// withoutPtrace runs a program that cannot have CAP_SYS_PTRACE, as in a container.
// "server without-ptrace PROGRAM ARG..."
func withoutPtrace(args []string) {
	if len(args) < 1 {
		fatal("usage: server without-ptrace PROGRAM ARG...")
	}
	runtime.LockOSThread() // the set is a thread's
	if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_PTRACE, 0, 0, 0); err != nil {
		fatal("PR_CAPBSET_DROP: %v", err)
	}
	replace(args)
}

func replace(args []string) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		fatal("%v", err)
	}
	fatal("cannot exec %s: %v", path, syscall.Exec(path, args, os.Environ()))
}

// prefork runs n copies of this server, as masters do that leave serving to workers.
// They get the stop signals that it gets; it ends when they have. One that dies by
// itself stays away.
func prefork(o options) {
	signals := watchSignals()
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool { return strings.HasPrefix(arg, "-prefork") })
	var workers []*exec.Cmd
	ended := make(chan struct{})
	for range o.prefork {
		c := exec.Command("/proc/self/exe", args...)
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := c.Start(); err != nil {
			fatal("cannot fork: %v", err)
		}
		workers = append(workers, c)
		go func() {
			_ = c.Wait() // how it ended is the tests' own doing
			ended <- struct{}{}
		}()
	}
	say("has forked")
	for left := len(workers); left > 0; {
		select {
		case sig := <-signals:
			if name := signalName(sig); slices.Contains(strings.Split(o.on, ","), name) {
				say("master got %s", name)
				signal.Ignore(sig) // once is enough
				for _, c := range workers {
					_ = c.Process.Signal(sig) // it may have ended
				}
			}
		case <-ended:
			left--
		}
	}
	os.Exit(o.status)
}
