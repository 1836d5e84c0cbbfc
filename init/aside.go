package pid1

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/spawn"
)

// aside is a command that runs beside the servers as one of them would run, with
// the same user, directory and environment, but without sockets and channels.
type aside struct {
	name       string   // as errors call it; "": by its first word
	command    []string // templates are still in it
	generation int      // as which it runs, 0 for none
	env        []string // besides
	stdout     int      // -1: /dev/null
	stderr     int
	limit      time.Duration   // then it gets KILL, 0: no limit
	stop       <-chan struct{} // so does it when that is closed; nil: never
}

// runAside runs it to its end; nil means that it exited with status 0.
func (i *Init) runAside(a *aside) error {
	err := i.runNamed(a)
	if err != nil && a.name != "" && !strings.HasPrefix(err.Error(), a.name) {
		err = fmt.Errorf("cannot start %s: %w", a.name, err)
	}
	return err
}

func (i *Init) runNamed(a *aside) error {
	given := i.endpoints.Generation(a.generation)
	env, err := i.sharedEnviron(a.generation, given)
	if err != nil {
		return err
	}
	user, _, err := i.user()
	if err != nil {
		return err
	}
	null, err := syscall.Open("/dev/null", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open /dev/null: %w", err)
	}
	defer syscall.Close(null)
	files := []uintptr{uintptr(null), uintptr(null), uintptr(null)}
	for n, fd := range [...]int{a.stdout, a.stderr} {
		if fd >= 0 {
			files[1+n] = uintptr(fd)
		}
	}
	child, p, err := i.spawn(&spawn.Spec{Argv: a.command, Env: append(env, a.env...), Files: files, User: user, Tty: -1}, a.generation, given)
	if err != nil {
		return err
	}
	defer i.bells.ring()
	if err := child.Exec(); err != nil {
		<-p.Exited()
		return err
	}
	name := a.name
	if name == "" {
		name = a.command[0]
	}
	var late <-chan time.Time
	if a.limit > 0 {
		timer := time.NewTimer(a.limit)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case e := <-p.Exited():
		if e.Known && e.Status.Exited() && e.Status.ExitStatus() == 0 {
			return nil
		}
		return errors.New(name + " " + describe(e.Status))
	case <-a.stop:
	case <-late:
	}
	_ = p.SignalGroup(syscall.SIGKILL)
	<-p.Exited()
	return fmt.Errorf("%s did not end within %v", name, a.limit)
}
