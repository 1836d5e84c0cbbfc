package pid1

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/spawn"
)

// helper is a command that runs beside the servers as one of them would run, with
// the same user, directory and environment, but without sockets and channels: a
// hook, a probe, a check.
type helper struct {
	name       string   // as errors call it; "": by its first word
	command    []string // templates are still in it
	generation int      // as which it runs, 0 for none
	env        []string // besides
	stdout     int      // -1: /dev/null
	stderr     int
	limit      time.Duration   // then it gets KILL, 0: no limit
	stop       <-chan struct{} // so does it when that is closed; nil: never
}

// run runs it to its end; nil means that it exited with status 0.
func (l *launcher) run(h *helper) error {
	err := l.runNamed(h)
	if err != nil && h.name != "" && !strings.HasPrefix(err.Error(), h.name) {
		err = fmt.Errorf("cannot start %s: %w", h.name, err)
	}
	return err
}

func (l *launcher) runNamed(h *helper) error {
	given := l.sockets(h.generation)
	env, err := l.sharedEnviron(h.generation, given)
	if err != nil {
		return err
	}
	user, _, err := l.user()
	if err != nil {
		return err
	}
	null, err := syscall.Open("/dev/null", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open /dev/null: %w", err)
	}
	defer syscall.Close(null)
	files := []uintptr{uintptr(null), uintptr(null), uintptr(null)}
	for n, fd := range [...]int{h.stdout, h.stderr} {
		if fd >= 0 {
			files[1+n] = uintptr(fd)
		}
	}
	child, p, err := l.spawn(&spawn.Spec{Argv: h.command, Env: append(env, h.env...), Files: files, User: user, Tty: -1}, h.generation, given)
	if err != nil {
		return err
	}
	defer l.wake()
	if err := child.Exec(); err != nil {
		<-p.Exited()
		return err
	}
	name := h.name
	if name == "" {
		name = h.command[0]
	}
	var late <-chan time.Time
	if h.limit > 0 {
		timer := time.NewTimer(h.limit)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case e := <-p.Exited():
		if e.Known && e.Status.Exited() && e.Status.ExitStatus() == 0 {
			return nil
		}
		return errors.New(name + " " + describe(e.Status))
	case <-h.stop:
	case <-late:
	}
	_ = p.SignalGroup(syscall.SIGKILL)
	<-p.Exited()
	return fmt.Errorf("%s did not end within %v", name, h.limit)
}
