package ns

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// rootVar marks the process that Root started, so that it does not try again.
const rootVar = "NS_USER_NAMESPACE"

// Root makes the calling program root in a user namespace of its own when it
// is not root: the program is run again there, and Root exits with its status.
// Where user namespaces are refused it returns, and Supported tells why
// nothing can be started.
func Root() {
	if os.Geteuid() == 0 || os.Getenv(rootVar) != "" {
		return
	}
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Args[0] = os.Args[0]
	c.Env = append(os.Environ(), rootVar+"=1")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	// Keys and kills are meant for the program, which decides what they mean.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if err := c.Start(); err != nil {
		signal.Stop(signals)
		return
	}
	go func() {
		for sig := range signals {
			if sig != syscall.SIGINT { // the terminal sends that one to both
				_ = c.Process.Signal(sig)
			}
		}
	}()
	err := c.Wait()
	var ended *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &ended) && ended.ExitCode() >= 0:
		os.Exit(ended.ExitCode())
	default:
		os.Exit(1)
	}
}

// Mapped reports whether uid means anything here: in a user namespace made by
// Root only uid 0 does.
func Mapped(uid int) bool {
	return os.Getenv(rootVar) == "" || uid == 0
}

// Supported tries namespaces with a program that ends at once. The error says
// why they cannot be used.
func Supported() error {
	c, err := Start(Config{Path: "/bin/true", Namespaces: true})
	if err != nil {
		return err
	}
	<-c.Done()
	if status := c.Status(); status.Exited() && status.ExitStatus() == stageFailed {
		return errors.New("mounts are refused in a new namespace")
	}
	return nil
}

// starter runs functions on one thread that lives as long as the process: the
// kernel sends the parent-death signal when the thread that forked ends.
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// onStarter calls f on the starter thread.
func onStarter(f func() error) error {
	done := make(chan error)
	starter() <- func() { done <- f() }
	return <-done
}

// sysProcAttr is how the stage is cloned.
func sysProcAttr(c Config) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if c.Namespaces {
		attr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
		if c.Network != nil {
			attr.Cloneflags &^= unix.CLONE_NEWNET // the stage enters it
		}
	}
	if c.Terminal {
		attr.Setsid, attr.Setctty, attr.Ctty = true, true, 3+len(c.Files)
	} else {
		attr.Setpgid = true // the keys of the test's own terminal are not for it
	}
	return attr
}
