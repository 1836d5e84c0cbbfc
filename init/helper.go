package pid1

import (
	"cmp"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/swapinit/swapinit/internal/awake"
	"github.com/swapinit/swapinit/internal/listen"
	"github.com/swapinit/swapinit/internal/spawn"
	"github.com/swapinit/swapinit/internal/text"
	"github.com/swapinit/swapinit/reaper"
)

// helper is a command that runs beside the servers as one of them would run, with
// the same user, directory and environment, but without sockets and channels: a
// hook, a probe, a check.
type helper struct {
	name       string   // as errors call it; "": by its first word
	command    []string // templates are still in it
	generation int      // as which it runs, 0 for none; or beside
	env        []string // besides
	stdout     int      // -1: /dev/null
	stderr     int
	limit      time.Duration   // then it gets KILL, 0: no limit
	stop       <-chan struct{} // so does it when that is closed; nil: never
}

// beside is the generation of what belongs to none and outlives them: nothing that is told
// of sockets is for it, and it is started as a server is.
const beside = -1

// run runs it to its end; nil means that it exited with status 0.
func (l *launcher) run(h *helper) error {
	p, err := l.start(h)
	if err != nil && h.name != "" {
		err = text.Errorf("cannot start %s: %w", h.name, err)
	}
	if err != nil {
		return err
	}
	defer l.wake()
	var late <-chan struct{}
	if h.limit > 0 {
		late = awake.After(h.limit)
	}
	name := cmp.Or(h.name, h.command[0])
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
	return text.Errorf("%s did not end within %v", name, h.limit)
}

// start returns when its program runs.
func (l *launcher) start(h *helper) (*reaper.Process, error) {
	var given listen.Given
	if h.generation != beside {
		given = l.sockets(h.generation)
	}
	env, err := l.sharedEnviron(h.generation, given)
	if err != nil {
		return nil, err
	}
	user, _, err := l.user()
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return nil, text.Errorf("cannot open /dev/null: %w", err)
	}
	defer null.Close()
	files := []uintptr{null.Fd(), null.Fd(), null.Fd()}
	for n, fd := range [...]int{h.stdout, h.stderr} {
		if fd >= 0 {
			files[1+n] = uintptr(fd)
		}
	}
	spec := spawn.Spec{Argv: h.command, Env: append(env, h.env...), Files: files, User: user, Tty: -1}
	if h.generation == beside {
		if spec.Ignore = l.ignored; user != nil {
			user.OwnStdio()
		}
	}
	child, p, err := l.spawn(&spec, max(0, h.generation), given)
	if err != nil {
		return nil, err
	}
	if err = child.Exec(); err != nil {
		<-p.Exited()
		l.wake()
	}
	return p, err
}
